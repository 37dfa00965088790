"""What the gateway is compared with: servers in processes, and environments, of their own."""
