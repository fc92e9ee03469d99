"""A site that keeps Stripe's objects with dj-stripe: runs in an environment of its own."""

# Of nothing: dj-stripe wants it to look like one.
TEST_KEY = "sk_test_benchmarksbenchmarksbench"
UUID = "7f3c5c5e-58a5-4d0c-9d0e-6d3b1f6c2a10"
PATH = f"/stripe/webhook/{UUID}/"
