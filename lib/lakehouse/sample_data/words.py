"""The words that the shop's people, places and products are made of."""

from __future__ import annotations

from typing import NamedTuple


class City(NamedTuple):
    """A city where customers live."""

    name: str
    state: str
    country: str


FIRST_NAMES = (
    "Ada", "Ana", "Ben", "Björn", "Carla", "Chen", "Chloé", "David", "Elif", "Emma", "Felix", "Giulia", "Hana", "Ivan", "Jonas",
    "José", "Kofi", "Lena", "Liam", "Maja", "Marta", "Mateo", "Mia", "Nadia", "Noah", "Olga", "Omar", "Paula", "Priya", "Rosa",
    "Sam", "Sofia", "Tariq", "Tom", "Uma", "Vera", "Wei", "Yara", "Zoë", "Zuri",
)  # fmt: skip
LAST_NAMES = (
    "Adams", "Almeida", "Bauer", "Brown", "Costa", "Diaz", "Dubois", "Evans", "Fischer", "García", "Haddad", "Hansen", "Ito",
    "Jensen", "Kaya", "Kim", "Kowalski", "Lopez", "Martin", "Meyer", "Moreau", "Müller", "Nguyen", "Novak", "O'Brien", "Okafor",
    "Olsen", "Patel", "Petrov", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Smith", "Taylor", "Virtanen", "Wagner", "Wang",
    "Young",
)  # fmt: skip
CITIES = (
    City("Amsterdam", "NH", "NL"), City("Austin", "TX", "US"), City("Barcelona", "CT", "ES"), City("Berlin", "BE", "DE"),
    City("Boston", "MA", "US"), City("Chicago", "IL", "US"), City("Denver", "CO", "US"), City("Hamburg", "HH", "DE"),
    City("Leeds", "EN", "GB"), City("Lisbon", "LI", "PT"), City("London", "EN", "GB"), City("Lyon", "RA", "FR"),
    City("Madrid", "MD", "ES"), City("Milan", "LM", "IT"), City("Munich", "BY", "DE"), City("New York", "NY", "US"),
    City("Paris", "ID", "FR"), City("Porto", "PO", "PT"), City("Rome", "LZ", "IT"), City("San Francisco", "CA", "US"),
    City("Seattle", "WA", "US"), City("Toronto", "ON", "CA"), City("Vancouver", "BC", "CA"), City("Vienna", "WI", "AT"),
)  # fmt: skip
SEGMENTS = ("consumer", "consumer", "consumer", "small_business", "enterprise")
SHIPPING_METHODS = ("standard", "standard", "express", "pickup")
SALES_CHANNELS = ("web", "web", "app", "store")
PAYMENT_METHODS = ("card", "card", "card", "paypal", "transfer", "voucher")
CATEGORIES = ("home", "garden", "kitchen", "toys", "books", "sports", "beauty", "electronics")
MATERIALS = ("Oak", "Steel", "Linen", "Glass", "Cotton", "Bamboo", "Copper", "Wool", "Paper", "Clay")
THINGS = ("Lamp", "Chair", "Mug", "Basket", "Clock", "Tray", "Vase", "Bowl", "Shelf", "Box", "Kite", "Frame")
CAMPAIGN_NAMES = (
    "Brand", "New Customers", "Newsletter", "Retargeting", "Winter Sale", "Fresh Start", "Valentine", "Spring Clean", "Easter",
    "Garden Week", "Mother's Day", "Summer Preview",
)  # fmt: skip
CAMPAIGN_CHANNELS = ("search", "social", "email", "display")

# as they stand in a CSV file; every one that needs quotes has them
PLAIN_NOTES = ("gift", "leave at the door", "call first", "fragile")
HARD_NOTES = (
    '"wrap it, please"',
    '"first line\nsecond line"',
    '"say ""hello"" to her"',
    '"3"" wide, ring twice\nthank you"',
)
