"""Products: what is sold."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids, prices
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import given, merged, stub
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
PRODUCT_FIELDS = (
    "active", "description", "images", "marketing_features", "metadata", "name",
    "package_dimensions", "shippable", "statement_descriptor", "tax_code", "unit_label", "url",
)  # fmt: skip


def create_product(world: "StandIn", asked: Request) -> Json:
    """POST /v1/products; the id may be chosen."""
    params = asked.params
    object_id = params.get("id") or ids.new_id("product")
    if world.find("product", object_id):
        raise ApiError("Product already exists.", code="resource_already_exists")
    now = world.now()
    fields = {"active": True, "livemode": False, "type": "service", "metadata": {}}
    fields |= given(params, PRODUCT_FIELDS)
    product = world.add(shape("product", id=object_id, created=now, updated=now, **fields))
    if data := params.get("default_price_data"):
        price = prices.new_price(world, {**data, "product": object_id})
        product = world.change(product, default_price=price["id"])
    world.events.emit("product.created", product)
    return product


def retrieve_product(world: "StandIn", asked: Request) -> Json:
    """GET /v1/products/{id}."""
    return world.need("product", asked.args[0])


def update_product(world: "StandIn", asked: Request) -> Json:
    """POST /v1/products/{id}."""
    product = world.need("product", asked.args[0])
    if price := asked.params.get("default_price"):
        world.need("price", price, param="default_price")
    fields = merged(product, asked.params, [*PRODUCT_FIELDS, "default_price"])
    return world.change(product, "product.updated", updated=world.now(), **fields)


def delete_product(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/products/{id}: only one without prices."""
    product = world.need("product", asked.args[0])
    if world.store.where("price", product=product["id"]):
        raise ApiError(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    world.store.remove("product", product["id"])
    world.events.emit("product.deleted", product)
    return stub(product)


def list_products(world: "StandIn", asked: Request) -> Json:
    """GET /v1/products."""
    wanted = asked.params.get("ids")
    fits = (lambda obj: obj["id"] in wanted) if wanted else None
    return page(world, "product", asked, equal=equal_to(asked, "active", "type"), fits=fits)
