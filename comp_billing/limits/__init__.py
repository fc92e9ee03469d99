"""What a payer may still spend: caps, what is held and spent, credit, and who is told of it."""
