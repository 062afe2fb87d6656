"""What an attacker does who knows the defence: each an answer to one threat or defence."""
