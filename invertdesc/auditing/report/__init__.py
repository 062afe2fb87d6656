"""Write an audit as an HTML page and as JSON."""
