"""Pages of comp_core. Each view parses the request, calls one verb and renders."""
