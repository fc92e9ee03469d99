"""A running site: web server and worker beside a stand-in for Stripe."""

from __future__ import annotations

from comp_billing.management.secret_file import read_secrets
from comp_billing.testing import StandInControl
from demo.processes import HOST, MANAGE, Processes, free_port

SECRET_KEY = "sk_test_demo"  # noqa: S105  # the stand-in takes any test key


def start_site(processes: Processes, site_url: str) -> StandInControl:
    """Start stand-in, web server and worker, the catalogue set up in between."""
    stripe_port = free_port()
    stripe_url = f"http://{HOST}:{stripe_port}"
    secret_file = processes.folder / "webhook_secret"
    processes.tell({
        "DEBUG": "1",
        "COMP_DEMO_DIR": str(processes.folder),
        "COMP_CLOCK": "comp_billing.testing.clock.now",
        "STRIPE_SECRET_KEY": SECRET_KEY,
        "STRIPE_API_BASE": stripe_url,
        "SITE_URL": site_url,
        "PYTHONUNBUFFERED": "1",
    })  # fmt: skip
    state = str(processes.folder / "stripe.sqlite3")
    processes.start(
        "stand-in", "-m", "comp_billing.testing.standin", "--port", str(stripe_port),
        "--state", state,
    )  # fmt: skip
    processes.wait_for(f"{stripe_url}/_standin/clock")
    processes.manage(
        "comp_setup_stripe", "--webhook-url", f"{site_url}/billing/webhook/",
        "--write-secret", str(secret_file),
    )  # fmt: skip
    kept = read_secrets(secret_file).items()
    processes.tell({f"STRIPE_{setting}": ",".join(secrets) for setting, secrets in kept})
    host, port = site_url.removeprefix("http://").split(":")
    processes.start("web server", str(MANAGE), "runserver", "--noreload", f"{host}:{port}")
    processes.start("worker", str(MANAGE), "comp_worker")
    processes.wait_for(f"{site_url}/models/")
    return StandInControl(stripe_url)
