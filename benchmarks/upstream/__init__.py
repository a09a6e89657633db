"""What balancing costs, without sockets."""
