"""What keeps the service going beside the requests: the housekeeper, and the supervisor of `trainyard up`."""
