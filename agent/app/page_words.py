"""The page's words in three languages, and how it says ages and times (CONSOLE sections 5 and 6).

Law: same keys, same placeholders in each. Uzbek is Latin with U+02BB in o' and g' and U+02BC for the stop.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

LANGUAGES = ("uz", "ru", "en")  # the first serves who asks for none of them

_UZ = {
    "name": "Oʻzbekcha",
    "red": "TOʻXTATISH",
    "amber": "TEKSHIRISH",
    "grey": "NOMAʼLUM",
    "green": "OʻTKAZISH",
    "verdict": "Xulosa",
    "as_of": "{time} holatiga koʻra",
    "green_until": "{time} gacha oʻtkazish mumkin",
    "expired": "Eskirdi: sahifani yangilang",
    "refresh": "Yangilash",
    "languages": "Til",
    "unit": "Qurilma",
    "seals": "Plombalar",
    "no_seals": "Plomba ulanmagan",
    "fix": "Joylashuv",
    "link": "Aloqa",
    "waiting": "Navbatdagi paketlar",
    "oldest": "Eng eskisi",
    "receipt": "Markaz tasdigʻi",
    "store": "Xotira",
    "clock": "Soat",
    "alarms": "Ogohlantirishlar",
    "code": "Topshirish kodi",
    "code_says": "Markazga topshirish kodi: bojxona telefonida skanerlang yoki bosing",
    "no_code": "Kod yoʻq: qurilma raqami yoki markaz manzili berilmagan",
    "unknown": "nomaʼlum",
    "none": "yoʻq",
    "never": "hali boʻlmagan",
    "unheard": "hali eshitilmagan",
    "ago": "{age} oldin",
    "s": "{n} s",
    "min": "{n} daq",
    "h": "{n} soat",
    "d": "{n} kun",
    "locked": "qulflangan",
    "unlocked": "ochiq",
    "battery": "batareya {n}\u00a0%",
    "flowing": "markaz bilan bogʻlangan",
    "connecting": "ulanmoqda",
    "down": "aloqa yoʻq",
    "stalled": "markaz javob bermayapti",
    "store_ok": "sogʻlom",
    "time_0": "vaqt nomaʼlum",
    "time_1": "plata soati",
    "time_2": "tarmoq (NTP)",
    "time_3": "sunʼiy yoʻldosh",
    "rope_cut": "Plomba {seal}: tros kesilgan",
    "cover_opened": "Plomba {seal}: korpusi ochilgan",
    "removed": "Plomba {seal}: olib tashlangan",
    "opened_while_sealed": "Plomba {seal}: plombalangan holda ochilgan",
    "head_mismatch": "Markazdagi tarix bu qurilmanikidan farq qiladi",
    "not_locked": "Plomba {seal}: qulflanmagan",
    "illegal_card": "Plomba {seal}: begona karta",
    "wrong_password": "Plomba {seal}: notoʻgʻri parol",
    "motor_stuck": "Plomba {seal}: motor tiqilib qolgan",
    "long_unlocked": "Plomba {seal}: uzoq vaqt ochiq",
    "low_battery": "Plomba {seal}: batareya kam",
    "interference": "Sunʼiy yoʻldosh signaliga xalaqit berilmoqda",
    "centre_lacks": "Markazga yetib bormagan paketlar: {n}",
    "store_full": "Xotira toʻla: yozuvlar yoʻqolmoqda",
    "no_time": "Qurilma vaqtni bilmaydi",
    "no_fix": "Joylashuv nomaʼlum",
    "old_fix": "Joylashuv eski: {age}",
    "seal_unheard": "Plomba {seal}: hali eshitilmagan",
    "seal_silent": "Plomba {seal}: javob yoʻq, {age}",
    "store_spill": "Disk ishlamayapti: yozuvlar vaqtinchalik xotirada",
    "store_silent": "Xotira javob bermayapti",
    "link_bad": "{seal}: {state}",
    "state_absent": "ulanmagan",
    "state_busy": "band",
    "state_hunting": "tezlik qidirilmoqda",
    "state_noise": "faqat shovqin",
    "state_mute": "jim",
    "refused": "Broker qurilmani rad etmoqda",
    "stuck": "Yuborib boʻlmaydigan paketlar: {n}",
    "aside": "Chetga olingan shikastlangan fayllar: {n}",
}
_RU = {
    "name": "Русский",
    "red": "ОСТАНОВИТЬ",
    "amber": "ПРОВЕРИТЬ",
    "grey": "НЕИЗВЕСТНО",
    "green": "ПРОПУСТИТЬ",
    "verdict": "Вывод",
    "as_of": "по состоянию на {time}",
    "green_until": "пропускать до {time}",
    "expired": "Устарело: обновите страницу",
    "refresh": "Обновить",
    "languages": "Язык",
    "unit": "Устройство",
    "seals": "Пломбы",
    "no_seals": "Пломба не подключена",
    "fix": "Место",
    "link": "Связь",
    "waiting": "Ждут отправки",
    "oldest": "Самый старый",
    "receipt": "Квитанция центра",
    "store": "Память",
    "clock": "Часы",
    "alarms": "Тревоги",
    "code": "Код передачи",
    "code_says": "Код передачи центру: отсканируйте телефоном таможни или нажмите",
    "no_code": "Кода нет: номер устройства или адрес центра не заданы",
    "unknown": "неизвестно",
    "none": "нет",
    "never": "ещё не было",
    "unheard": "ещё не слышна",
    "ago": "{age} назад",
    "s": "{n} с",
    "min": "{n} мин",
    "h": "{n} ч",
    "d": "{n} дн",
    "locked": "закрыта",
    "unlocked": "открыта",
    "battery": "батарея {n}\u00a0%",
    "flowing": "на связи с центром",
    "connecting": "соединяется",
    "down": "нет связи",
    "stalled": "центр не отвечает",
    "store_ok": "исправна",
    "time_0": "время неизвестно",
    "time_1": "часы платы",
    "time_2": "сеть (NTP)",
    "time_3": "спутники",
    "rope_cut": "Пломба {seal}: трос перерезан",
    "cover_opened": "Пломба {seal}: корпус вскрыт",
    "removed": "Пломба {seal}: снята",
    "opened_while_sealed": "Пломба {seal}: вскрыта под пломбой",
    "head_mismatch": "История в центре расходится с историей этого устройства",
    "not_locked": "Пломба {seal}: не закрыта",
    "illegal_card": "Пломба {seal}: чужая карта",
    "wrong_password": "Пломба {seal}: неверный пароль",
    "motor_stuck": "Пломба {seal}: заело мотор",
    "long_unlocked": "Пломба {seal}: долго открыта",
    "low_battery": "Пломба {seal}: батарея разряжена",
    "interference": "Помехи спутниковому приёму",
    "centre_lacks": "Центр ещё не получил пакетов: {n}",
    "store_full": "Память заполнена: записи теряются",
    "no_time": "Устройство не знает времени",
    "no_fix": "Место неизвестно",
    "old_fix": "Место устарело: {age}",
    "seal_unheard": "Пломба {seal}: ещё не слышна",
    "seal_silent": "Пломба {seal}: молчит, {age}",
    "store_spill": "Диск отказал: записи во временной памяти",
    "store_silent": "Память не отвечает",
    "link_bad": "{seal}: {state}",
    "state_absent": "не подключено",
    "state_busy": "занято другой программой",
    "state_hunting": "подбирается скорость",
    "state_noise": "только шум",
    "state_mute": "молчит",
    "refused": "Брокер отказывает устройству",
    "stuck": "Пакеты, которые не уходят: {n}",
    "aside": "Отложено повреждённых файлов: {n}",
}
_EN = {
    "name": "English",
    "red": "STOP",
    "amber": "CHECK",
    "grey": "UNKNOWN",
    "green": "LET GO",
    "verdict": "Verdict",
    "as_of": "as of {time}",
    "green_until": "let go until {time}",
    "expired": "Out of date: refresh the page",
    "refresh": "Refresh",
    "languages": "Language",
    "unit": "Unit",
    "seals": "Seals",
    "no_seals": "No seal is connected",
    "fix": "Place",
    "link": "Link",
    "waiting": "Batches waiting",
    "oldest": "Oldest",
    "receipt": "Centre's receipt",
    "store": "Store",
    "clock": "Clock",
    "alarms": "Alarms",
    "code": "Hand-over code",
    "code_says": "Hand-over code for the centre: scan it with the officer's phone, or tap it",
    "no_code": "No code: the unit's number or the centre's address is not set",
    "unknown": "unknown",
    "none": "none",
    "never": "not yet",
    "unheard": "not heard yet",
    "ago": "{age} ago",
    "s": "{n} s",
    "min": "{n} min",
    "h": "{n} h",
    "d": "{n} d",
    "locked": "locked",
    "unlocked": "open",
    "battery": "battery {n}\u00a0%",
    "flowing": "in touch with the centre",
    "connecting": "connecting",
    "down": "no connection",
    "stalled": "the centre does not answer",
    "store_ok": "sound",
    "time_0": "time unknown",
    "time_1": "board clock",
    "time_2": "network (NTP)",
    "time_3": "satellites",
    "rope_cut": "Seal {seal}: rope cut",
    "cover_opened": "Seal {seal}: casing opened",
    "removed": "Seal {seal}: taken off",
    "opened_while_sealed": "Seal {seal}: opened while sealed",
    "head_mismatch": "The centre's history differs from this unit's",
    "not_locked": "Seal {seal}: not locked",
    "illegal_card": "Seal {seal}: foreign card",
    "wrong_password": "Seal {seal}: wrong password",
    "motor_stuck": "Seal {seal}: motor stuck",
    "long_unlocked": "Seal {seal}: open for long",
    "low_battery": "Seal {seal}: battery low",
    "interference": "Satellite reception is disturbed",
    "centre_lacks": "Batches that the centre lacks: {n}",
    "store_full": "Store full: records are being lost",
    "no_time": "The unit does not know the time",
    "no_fix": "Place unknown",
    "old_fix": "Place is old: {age}",
    "seal_unheard": "Seal {seal}: not heard yet",
    "seal_silent": "Seal {seal}: silent, {age}",
    "store_spill": "Disk has failed: records in temporary memory",
    "store_silent": "The store does not answer",
    "link_bad": "{seal}: {state}",
    "state_absent": "not plugged in",
    "state_busy": "held by another program",
    "state_hunting": "looking for its rate",
    "state_noise": "noise only",
    "state_mute": "mute",
    "refused": "The broker refuses this unit",
    "stuck": "Batches that cannot be sent: {n}",
    "aside": "Damaged files set aside: {n}",
}

CATALOGUES: Mapping[str, Mapping[str, str]] = {"uz": _UZ, "ru": _RU, "en": _EN}


def language_of(wanted: str, accept: str) -> str:
    """`wanted` if it is one of ours, else the one that Accept-Language (RFC 9110, 12.5.4) likes best, else the first."""
    if wanted in CATALOGUES:
        return wanted
    best, best_q = LANGUAGES[0], 0.0
    for part in accept.split(",")[:16]:
        name, _, weight = part.partition(";")
        language = name.strip().lower().split("-")[0]
        q = _quality(weight)
        if language in CATALOGUES and q > best_q:
            best, best_q = language, q
    return best


def age(words: Mapping[str, str], seconds: int) -> str:
    """How long, in at most two units."""
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if minutes == 0:
        return words["s"].format(n=max(seconds, 0))
    if hours == 0:
        return words["min"].format(n=minutes)
    if days == 0:
        return " ".join((words["h"].format(n=hours), words["min"].format(n=minutes % 60)))
    return " ".join((words["d"].format(n=days), words["h"].format(n=hours % 24)))


def clock(utc_ms: int) -> str:
    """The time of day in UTC: a unit crosses borders."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).strftime("%H:%M:%S\u00a0UTC")


def day_and_clock(utc_ms: int) -> str:
    """Date and time in UTC."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S\u00a0UTC")


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
