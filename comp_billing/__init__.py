"""Money: what runs cost, and the site's mirror of its Stripe account."""
