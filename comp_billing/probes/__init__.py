"""What the doctor asks about billing: its keys, Stripe itself, events, the mirror, the outbox."""
