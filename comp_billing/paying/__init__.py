"""How users pay: cards, Stripe's portal, the next invoice before it is made, and what is due."""
