"""Every kind of dirt in the sample data, and how much of it: the one table that the generator and its test both read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dirt:
    """One kind of dirt in one feed; every line has at most one kind.

    `rate` is the share of the feed's lines, with at least one line a day. `refused`: a strict validation (presence,
    types, ranges, formats, references) turns the line away; otherwise it can be mended, or is found only by comparing.
    `added`: an extra line beside a clean one, so that no fact is lost; otherwise the line itself is dirty.
    """

    feed: str
    kind: str
    rate: float
    description: str
    refused: bool = True
    added: bool = False


DIRT: tuple[Dirt, ...] = (
    Dirt("customers", "null_key", 0.010, "customer_id is empty", added=True),
    Dirt("customers", "null_value", 0.010, "email is empty", added=True),
    Dirt("customers", "wrong_type", 0.010, 'customer_id is "12,50", "abc" or "N/A"', added=True),
    Dirt("customers", "future_date", 0.010, "updated_at, the sequence, lies in 2099", added=True),
    Dirt("customers", "too_few_fields", 0.005, "the line ends after three fields", added=True),
    Dirt("customers", "too_many_fields", 0.005, "the line has two fields more than the header", added=True),
    Dirt("customers", "outer_blanks", 0.020, "blanks around cust_nm and city", refused=False),
    Dirt("customers", "mixed_case", 0.020, "email and segment in capitals", refused=False),
    Dirt("customers", "date_format", 0.020, "registered_at as DD/MM/YYYY HH:MM", refused=False),
    Dirt("customers", "exact_duplicate", 0.020, "the line stands twice in its file", refused=False, added=True),
    Dirt(
        "customers", "key_duplicate", 0.010, "same customer_id and updated_at, another phone", refused=False, added=True
    ),
    Dirt("customers", "late", 0.030, "an event that arrives in the next day's file", refused=False),
    Dirt(
        "customers", "redelivered", 0.010, "an event that comes again in the next day's file", refused=False, added=True
    ),
    Dirt("products", "null_value", 0.010, "name is empty"),
    Dirt("products", "wrong_type", 0.010, 'price is "12,50", "abc" or "N/A"'),
    Dirt("products", "negative_amount", 0.010, "price below zero"),
    Dirt("products", "absurd_amount", 0.005, "price of 1e9"),
    Dirt("products", "too_few_fields", 0.005, "the line ends after three fields"),
    Dirt("products", "too_many_fields", 0.005, "the line has two fields more than the header"),
    Dirt("products", "outer_blanks", 0.010, "blanks around name", refused=False),
    Dirt("products", "mixed_case", 0.010, "category in capitals", refused=False),
    Dirt("products", "exact_duplicate", 0.010, "the line stands twice in its file", refused=False, added=True),
    Dirt("orders", "dangling_customer", 0.005, "customer_id that no customer has, on every line of the order"),
    Dirt("orders", "dangling_campaign", 0.005, "campaign_id that no campaign has, on every line of the order"),
    Dirt("orders", "null_key", 0.005, "order_id is null"),
    Dirt("orders", "null_value", 0.005, "status is null"),
    Dirt("orders", "wrong_type", 0.010, 'amount is "12,50", "abc" or "N/A"'),
    Dirt("orders", "negative_amount", 0.005, "amount below zero"),
    Dirt("orders", "absurd_amount", 0.003, "amount of 1e9"),
    Dirt("orders", "future_date", 0.005, "order_ts and updated_at lie in 2099"),
    Dirt("orders", "broken_line", 0.010, "JSON cut off in the middle"),
    Dirt("orders", "outer_blanks", 0.010, "blanks around status", refused=False),
    Dirt("orders", "mixed_case", 0.010, "status in capitals", refused=False),
    Dirt("orders", "date_format", 0.020, "order_ts as DD/MM/YYYY HH:MM", refused=False),
    Dirt("orders", "exact_duplicate", 0.010, "the line stands twice in its file", refused=False, added=True),
    Dirt(
        "orders", "key_duplicate", 0.005, "the state again with another channel, 30 s later", refused=False, added=True
    ),
    Dirt("order_items", "null_key", 0.005, "order_id is empty"),
    Dirt("order_items", "null_value", 0.005, "quantity is empty"),
    Dirt("order_items", "wrong_type", 0.010, 'unit_price is "12,50", "abc" or "N/A"'),
    Dirt("order_items", "negative_amount", 0.005, "quantity below zero"),
    Dirt("order_items", "absurd_amount", 0.003, "unit_price of 1e9"),
    Dirt("order_items", "dangling_product", 0.005, "product_id that no product has"),
    Dirt("order_items", "dangling_order", 0.005, "order_id that no order has"),
    Dirt("order_items", "too_few_fields", 0.005, "the line ends after three fields"),
    Dirt("order_items", "too_many_fields", 0.005, "the line has two fields more than the header"),
    Dirt("order_items", "outer_blanks", 0.010, "blanks around product_id", refused=False),
    Dirt("order_items", "exact_duplicate", 0.010, "the line stands twice in its file", refused=False, added=True),
    Dirt(
        "order_items",
        "key_duplicate",
        0.005,
        "superseded: another quantity, updated_at 30 s earlier",
        refused=False,
        added=True,
    ),
    Dirt("payments", "null_key", 0.005, "payment_id is null"),
    Dirt("payments", "null_value", 0.005, "paid_at is null"),
    Dirt("payments", "negative_amount", 0.008, "amount below zero"),
    Dirt("payments", "absurd_amount", 0.005, "amount of 1e9"),
    Dirt("payments", "future_date", 0.008, "paid_at lies in 2099"),
    Dirt("payments", "dangling_order", 0.015, "a payment for no order", added=True),
    Dirt("payments", "amount_mismatch", 0.010, "captured 1.00 or more away from the order's amount", refused=False),
    Dirt("payments", "rounding_difference", 0.010, "captured 0.01 away from the order's amount", refused=False),
    Dirt("payments", "unpaid_order", 0.010, "no captured payment for an order that was not cancelled", refused=False),
    Dirt("payments", "outer_blanks", 0.010, "blanks around method", refused=False),
    Dirt("payments", "mixed_case", 0.010, "method in capitals", refused=False),
    Dirt("payments", "exact_duplicate", 0.010, "the row stands twice in its file", refused=False, added=True),
    Dirt(
        "payments",
        "key_duplicate",
        0.005,
        "superseded: another amount, paid_at 30 s earlier",
        refused=False,
        added=True,
    ),
    Dirt("campaigns", "null_key", 0.080, "campaign_id is empty", added=True),
    Dirt("campaigns", "outer_blanks", 0.080, "blanks around name", refused=False),
    Dirt("campaigns", "mixed_case", 0.080, "channel in capitals", refused=False),
    Dirt("campaigns", "date_format", 0.080, "start_date as DD/MM/YYYY", refused=False),
    Dirt("campaigns", "exact_duplicate", 0.080, "the line stands twice in its file", refused=False, added=True),
    Dirt("clicks", "null_key", 0.005, "click_id is empty"),
    Dirt("clicks", "null_value", 0.005, "clicked_at is empty"),
    Dirt("clicks", "wrong_type", 0.010, 'cost is "12,50", "abc" or "N/A"'),
    Dirt("clicks", "negative_amount", 0.005, "cost below zero"),
    Dirt("clicks", "absurd_amount", 0.003, "cost of 1e9"),
    Dirt("clicks", "future_date", 0.005, "clicked_at lies in 2099"),
    Dirt("clicks", "dangling_campaign", 0.005, "campaign_id that no campaign has"),
    Dirt("clicks", "dangling_customer", 0.005, "customer_id that no customer has"),
    Dirt("clicks", "too_few_fields", 0.005, "the line ends after three fields"),
    Dirt("clicks", "too_many_fields", 0.005, "the line has two fields more than the header"),
    Dirt("clicks", "outer_blanks", 0.010, "blanks around campaign_id", refused=False),
    Dirt("clicks", "mixed_case", 0.010, "campaign_id in capitals", refused=False),
    Dirt("clicks", "date_format", 0.020, "clicked_at as DD/MM/YYYY HH:MM", refused=False),
    Dirt("clicks", "exact_duplicate", 0.010, "the line stands twice in its file", refused=False, added=True),
    Dirt(
        "clicks", "key_duplicate", 0.005, "superseded: another cost, clicked_at 30 s earlier", refused=False, added=True
    ),
    Dirt("order_events", "null_key", 0.005, "event_id is null"),
    Dirt("order_events", "null_value", 0.005, "event_type is null"),
    Dirt("order_events", "wrong_type", 0.010, 'amount is "12,50", "abc" or "N/A"'),
    Dirt("order_events", "negative_amount", 0.005, "amount below zero"),
    Dirt("order_events", "absurd_amount", 0.003, "amount of 1e9"),
    Dirt("order_events", "future_date", 0.005, "event_time lies in 2099"),
    Dirt("order_events", "dangling_order", 0.005, "order_id that no order has"),
    Dirt("order_events", "broken_line", 0.010, "JSON cut off in the middle"),
    Dirt("order_events", "outer_blanks", 0.010, "blanks around event_type", refused=False),
    Dirt("order_events", "mixed_case", 0.010, "event_type in capitals", refused=False),
    Dirt("order_events", "exact_duplicate", 0.020, "the event is delivered twice", refused=False, added=True),
    Dirt("order_events", "late", 0.030, "an event that arrives in a file of the next day", refused=False),
)


def dirt_of(feed: str) -> tuple[Dirt, ...]:
    """The feed's kinds in the table's order; a kind's place in it is its code while data is made."""
    return tuple(dirt for dirt in DIRT if dirt.feed == feed)


def dirty_lines(feed: str, lines: int, at_least: int) -> list[int]:
    """How many of `lines` have each kind of `dirt_of(feed)`: the rate's share, rounded, but no fewer than `at_least`."""
    return [max(at_least, round(lines * dirt.rate)) for dirt in dirt_of(feed)]
