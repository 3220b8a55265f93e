"""The few words of the pages themselves, in the language most of an edition is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One language's."""

    tag: str
    rtl: bool
    search: str
    home: str
    source: str
    licence: str
    issued: str
    signed: str
    missing: str
    articles: str


ENGLISH = Words(
    "en",
    False,
    "Search",
    "All articles",
    "Source",
    "Licence",
    "Issued",
    "Signed by",
    "Not in this file",
    "articles",
)
_ALL = (
    ENGLISH,
    Words(
        "fa", True, "جستجو", "همهٔ مطالب", "منبع", "مجوز", "تاریخ انتشار", "امضا شده توسط", "در این پرونده نیست", "مطلب"
    ),
    Words(
        "ar", True, "بحث", "كل المقالات", "المصدر", "الترخيص", "تاريخ الإصدار", "موقّع من", "ليس في هذا الملف", "مقالات"
    ),
    Words(
        "ru",
        False,
        "Поиск",
        "Все статьи",  # noqa: RUF001 - Russian
        "Источник",
        "Лицензия",
        "Выпущено",
        "Подписано",
        "Нет в этом файле",
        "статей",
    ),
    Words("zh", False, "搜索", "全部文章", "来源", "许可", "发布时间", "签名者", "不在此文件中", "篇文章"),
)
_BY_TAG = {words.tag: words for words in _ALL}


def choose(languages: Iterable[str]) -> Words:
    """The words for articles in these languages (BCP 47)."""
    counted = Counter(language.partition("-")[0].lower() for language in languages)
    for tag, _ in counted.most_common():
        if tag in _BY_TAG:
            return _BY_TAG[tag]
    return ENGLISH
