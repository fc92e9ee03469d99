"""What anybody can send to the webhooks, and what becomes of it: requests tried / 5xx / rows."""
