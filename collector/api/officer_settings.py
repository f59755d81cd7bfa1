"""What a site says of its officers' page, and how old data may be for green.

Law: seconds, as people write them; the verdict counts in milliseconds.
"""

from dataclasses import dataclass

from collector.customs.verdict import Limits

S_MAX = 86_400  # of any limit: a day-old green is none


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerSettings:
    """`[officer]`."""

    phone: str = ""  # of the control room, for tel:; without it there is no button
    time_zone: str = "Asia/Tashkent"  # in which times are shown
    fix_s_max: int = 900
    seal_s_max: int = 900
    answer_s_max: int = 300
    ingest_s_max: int = 360
    behind_s_max: int = 120
    battery_percent_min: int = 15

    @property
    def limits(self) -> Limits:
        return Limits(
            fix_ms_max=self.fix_s_max * 1_000,
            seal_ms_max=self.seal_s_max * 1_000,
            answer_ms_max=self.answer_s_max * 1_000,
            ingest_ms_max=self.ingest_s_max * 1_000,
            behind_ms_max=self.behind_s_max * 1_000,
            battery_percent_min=self.battery_percent_min,
        )
