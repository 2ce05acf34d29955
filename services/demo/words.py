"""The words of the sample world: IRIs, names of people and courses, and the seeded choices that make the same world from the same seed."""
import datetime as dt
import hashlib
import random
import uuid
from typing import Any

NAMESPACE = uuid.UUID("6f1f2a53-3c0e-5d4e-9a3e-0a51d0c0ffee")
ADL, TIN, W3 = "http://adlnet.gov/expapi/verbs/", "http://id.tincanapi.com/verb/", "https://w3id.org/xapi/"
ACTIVITY = "http://adlnet.gov/expapi/activities/"
TIN_ACTIVITY = "http://id.tincanapi.com/activitytype/"
EXTENSION = "https://mooc-world.example.org/xapi/extensions/"
ATTEMPT = "http://id.tincanapi.com/extension/attempt-id"
IDENTITY, TRACK = EXTENSION + "identity-assurance", EXTENSION + "track"
CMI5, VIDEO = W3 + "cmi5/context/extensions/", W3 + "video/extensions/"

VERBS: dict[str, tuple[str, str]] = {
    **{name: (ADL + name, name) for name in (
        "registered", "attempted", "initialized", "completed", "passed", "failed", "terminated", "launched", "answered", "experienced", "attended",
        "progressed", "scored", "commented", "voided")},
    **{name: (TIN + name, name) for name in ("viewed", "unregistered", "earned", "reviewed")},
    **{name: (W3 + "acrossx/verbs/" + name, name) for name in ("posted", "evaluated")},
    **{name: (W3 + "video/verbs/" + name, name) for name in ("played", "paused", "seeked")},
    **{name: (W3 + "adl/verbs/" + name, name) for name in ("satisfied", "waived", "abandoned")},
    "submitted": ("http://activitystrea.ms/schema/1.0/submit", "submitted"),
    "planned": ("http://www.tincanapi.co.uk/verbs/planned_learning", "planned"),
}

EDX, MOODLE = "https://courses.edx.example.org", "https://moodle.ki.example.org"
COURSERA, LMS = "https://www.coursera.example.org", "https://lms.campus.example.org"

MODULES: dict[str, tuple[str, str, str, float]] = {
    "AAA": ("Academic Writing for the Health Sciences", "Akademiskt skrivande för hälsovetenskap", MOODLE, 7.5),
    "BBB": ("Behavioural Medicine: A Key to Better Health", "Beteendemedicin", EDX, 6),
    "CCC": ("Identity Management on the Internet", "Identitetshantering på internet", LMS, 7.5),
    "DDD": ("Data Structures and Graph Algorithms", "Datastrukturer och grafalgoritmer", MOODLE, 7.5),
    "EEE": ("Explorative Statistics with R", "Utforskande statistik med R", COURSERA, 3),
    "FFF": ("Foundations of Sustainable Cities", "Grunder i hållbara städer", EDX, 6),
    "GGG": ("Global Health Economics", "Global hälsoekonomi", LMS, 4.5),
}
"""For each OULAD module: its name in English and in Swedish, the platform that plays it, and its credits."""

FIRST_NAMES = (
    "Alva Elsa Nour Björn Åsa Göran Lucía José Zoë Chloé Søren Łukasz Agnieszka Đorđe Şeyma Mehmet Fatima Yusuf Amina Omar Wei Li Yūki Haruto Min-jun "
    "Seo-yeon Priya Arjun Ngozi Chidi Olena Andriy Ivan Мария محمد 伟 Ana João Ayşe Eero Aino Siobhán Owen Grace Daniel Maja").split()
LAST_NAMES = (
    "Andersson Ström Öberg Lindqvist García Núñez O'Brien Müller Weiß Çelik Yılmaz Kowalski Wiśniewska Nguyễn Trần Zhang 王 田中 Kim Park Patel Sharma "
    "Okafor Adeyemi Shevchenko Петров الأحمد Silva Costa Hämäläinen Virtanen Jensen Ødegård Novák Horváth Popescu de-la-Cruz van-den-Berg MacLeod "
    "Smith").split()


def chance(*key: object) -> random.Random:
    """Return the source of choices that belongs to a key."""
    return random.Random(int.from_bytes(hashlib.sha256("|".join(map(str, key)).encode()).digest()[:8], "big"))


def uid(*key: object) -> str:
    """Return the UUID that belongs to a key."""
    return str(uuid.uuid5(NAMESPACE, "|".join(map(str, key))))


def iso(moment: dt.datetime, style: int = 0) -> str:
    """Return a moment as platforms of that style write it: 0 milliseconds and Z, 1 an offset, 2 microseconds and an offset."""
    if style == 1:
        return moment.astimezone(dt.timezone(dt.timedelta(hours=1))).isoformat(timespec="milliseconds")
    if style == 2:
        return moment.isoformat(timespec="microseconds")
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parsed(statement: dict[str, Any]) -> dt.datetime:
    """Return the timestamp of a statement."""
    return dt.datetime.fromisoformat(statement["timestamp"])


def duration(seconds: float) -> str:
    """Return seconds as an ISO 8601 duration."""
    hours, rest = divmod(int(seconds), 3600)
    return "PT" + (f"{hours}H" if hours else "") + (f"{rest // 60}M" if rest >= 60 else "") + f"{rest % 60}S"


def md5(text: str) -> str:
    """Return what platforms use where they hash a text into an identifier."""
    return hashlib.md5(text.encode()).hexdigest()
