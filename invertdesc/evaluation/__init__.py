"""How near a reconstruction comes to the picture it stands for, and to what needs no features."""
