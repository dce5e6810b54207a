"""What lands: the feeds of the example shop, their files and columns, for the docs and for whoever writes a contract."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column as a clean line has it; `type` is the Spark type that a contract would give it."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Feed:
    """One folder of landing files; `files` is the pattern of their names, which sort by day."""

    name: str
    format: str
    files: str
    description: str
    columns: tuple[Column, ...]


def _columns(text: str) -> tuple[Column, ...]:
    """A column a line: `name | type | description`."""
    return tuple(Column(*(part.strip() for part in line.split("|"))) for line in text.strip().splitlines())


_CUSTOMERS = Feed(
    "customers",
    "csv",
    "customers_YYYY-MM-DD_NNN.csv",
    "Change feed, one line per change of a customer: the whole row after it (of a delete: before it). Out of order; a few "
    "changes arrive a day late or twice. Deleted customers may come back (op I again).",
    _columns("""
        op            | string    | I, U or D
        customer_id   | bigint    | key
        cust_nm       | string    | name
        email         | string    |
        phone         | string    | may be empty
        city          | string    | changes when the customer moves
        state         | string    | two letters
        country       | string    | two letters
        segment       | string    | consumer, small_business or enterprise
        registered_at | timestamp | UTC, seconds
        updated_at    | timestamp | UTC, microseconds: the sequence
    """),
)
_PRODUCTS = Feed(
    "products",
    "csv",
    "products_YYYY-MM-DD.csv",
    "Full snapshot, one line per product on sale that day; prices change, products come, go and return.",
    _columns("""
        product_id | bigint        | key
        name       | string        |
        category   | string        | one of eight
        price      | decimal(12,2) | that day's
        currency   | string        | EUR
        is_active  | boolean       | false: listed, not sold
    """),
)
_ORDERS = Feed(
    "orders",
    "json",
    "orders_YYYY-MM-DD_NNN.json",
    "JSON lines, one per order and state reached that day; an order reaches its last state within four days.",
    _columns("""
        order_id    | string        | key, OYYYYMMDD-NNNNNNNN
        customer_id | bigint        |
        campaign_id | string        | null for most
        status      | string        | created, paid, cancelled, shipped, delivered or returned
        order_ts    | timestamp     | UTC, seconds: when it was placed
        updated_at  | timestamp     | UTC, seconds: when it reached this state
        currency    | string        | EUR
        amount      | decimal(12,2) | sum of quantity * unit_price * (1 - discount) over its items, rounded half up
        shipping    | struct<city: string, country: string, method: string> |
        channel     | string        | web, app or store
    """),
)
_ORDER_ITEMS = Feed(
    "order_items",
    "csv",
    "order_items_YYYY-MM-DD_NNN.csv",
    "One line per item of the day's new orders. The header's order differs between the files of a day; file 001 starts with "
    "a UTF-8 BOM; notes hold quoted commas, line breaks and doubled quotes (read with multiLine and escape '\"').",
    _columns("""
        order_id   | string        | key, part 1
        line_no    | int           | key, part 2; from 1
        product_id | bigint        |
        quantity   | int           |
        unit_price | decimal(12,2) | the product's price that day
        discount   | decimal(4,2)  | a share: 0.10 is ten percent
        note       | string        | mostly empty
        updated_at | timestamp     | UTC, seconds: the sequence
    """),
)
_PAYMENTS = Feed(
    "payments",
    "parquet",
    "payments_YYYY-MM-DD_NNN.parquet",
    "One row per attempt to pay (captured or failed) and per refund; the columns are typed.",
    _columns("""
        payment_id | string        | key: PYYYYMMDD-NNNNNNNN-1 failed first try, -2 captured, -3 refund
        order_id   | string        |
        method     | string        | card, paypal, transfer or voucher
        amount     | decimal(12,2) | positive, a refund's too
        paid_at    | timestamp     | UTC
        status     | string        | captured, failed or refunded
    """),
)
_CAMPAIGNS = Feed(
    "campaigns",
    "csv",
    "campaigns_YYYY-MM-DD.csv",
    "The full list each day, one line per campaign.",
    _columns("""
        campaign_id | string        | key, cmp-NN
        name        | string        |
        channel     | string        | search, social, email or display
        start_date  | date          |
        end_date    | date          | inclusive
        budget      | decimal(12,2) |
    """),
)
_CLICKS = Feed(
    "clicks",
    "csv",
    "clicks_YYYY-MM-DD_NNN.csv",
    "One line per click on an ad. An order with a campaign has a click of its customer on that campaign before it.",
    _columns("""
        click_id    | string        | key, KYYYYMMDD-NNNNNNNNN
        campaign_id | string        |
        customer_id | bigint        | empty for visitors who are not known
        clicked_at  | timestamp     | UTC, seconds
        url         | string        | some quoted, with a comma
        cost        | decimal(12,2) |
    """),
)
_ORDER_EVENTS = Feed(
    "order_events",
    "json",
    "order_events_YYYY-MM-DD_HH_NNN.json",
    "JSON lines for streams, one per event of an order, in files by the six hours in which it arrived (HH: 00, 06, 12, 18). "
    "A few arrive on the next day.",
    _columns("""
        event_id   | string        | key, EYYYYMMDD-NNNNNNNN-N
        order_id   | string        |
        event_type | string        | order_created, order_paid, order_cancelled, order_shipped, order_delivered or order_returned
        event_time | timestamp     | UTC, seconds
        amount     | decimal(12,2) | the order's
    """),
)


def feeds() -> tuple[Feed, ...]:
    """All feeds, in the order in which they are written."""
    return (_CUSTOMERS, _PRODUCTS, _ORDERS, _ORDER_ITEMS, _PAYMENTS, _CAMPAIGNS, _CLICKS, _ORDER_EVENTS)
