"""Numbers of several API processes: in files, summed, exposed."""
