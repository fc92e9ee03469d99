"""Who takes part in an execution: a matter of chance, and of what the execution is about."""

from __future__ import annotations

import uuid
from random import Random

from comp_core.db import from_now
from comp_core.status import InputsStatus
from comp_users.models import Profile
from tests.faults import actors, upkeep
from tests.faults.actors import Role, Wish
from tests.testapp.models import DoublingInputs

# Who is needed for a step to be taken at all; the others take theirs anyway.
LEANINGS = {
    "renew": "operator",
    "ask_cancel": "canceller",
    "admit": "limit",
    **dict.fromkeys(("save_inputs", "check_ticket", "verdict", "wish"), "wished"),
    **dict.fromkeys(("retire_inputs", "delete_inputs"), "forgotten"),
    **dict.fromkeys(("prune_outputs", "forget_paths", "prune_logs", "sweep"), "janitor"),
    **dict.fromkeys(("take_back", "output"), "clock"),
}


# Small casts for one kind of meeting: workers that come back late, everybody at one run, and a run
# that is given back while it is to be cancelled.
ZOMBIES, CROWD, QUITTERS = "zombies", "crowd", "quitters"
FEW = (ZOMBIES, CROWD, QUITTERS)


def leaning_of(point: str) -> str:
    return LEANINGS.get(point.split(":", maxsplit=1)[0], "")


class Casting:
    """Who takes part: a matter of chance, and of what an execution leans to."""

    def __init__(self, rng: Random, leaning: str) -> None:
        self.rng, self.leaning = rng, leaning

    def wants(self, name: str, chance: float) -> bool:
        return self.rng.random() < (0.95 if name == self.leaning else chance)

    def limits(self, profiles: list[Profile]) -> dict[int, int | None]:
        """How many runs each may have under way at a time."""
        some = (1, 1, 2) if self.leaning == "limit" else (None, None, 1, 2)
        return {profile.pk: self.rng.choice(some) for profile in profiles}

    def wishes(self, profiles: list[Profile]) -> list[Wish]:
        number = self.rng.choices((1, 2, 3), (5, 3, 2))[0]
        if self.leaning == "limit":
            number, profiles = max(number, 2), profiles[:1]
        if self.leaning in FEW:
            return [Wish(profiles[0], False, None, inputs=_checked(profiles[0]))]
        return [self._wish(self.rng.choice(profiles)) for _ in range(number)]

    def _wish(self, owner: Profile) -> Wish:
        forgotten = self.wants("forgotten", 0.08)
        wished = not forgotten and self.wants("wished", 0.35)
        key = str(uuid.UUID(bytes=self.rng.randbytes(16))) if self.rng.random() < 0.6 else None
        wish = Wish(owner, wished, key, forgotten)
        if not wished:
            wish.inputs = _checked(owner)
        if forgotten and wish.inputs is not None:
            mine = DoublingInputs.objects.filter(pk=wish.inputs.pk)
            mine.update(modified=from_now(-2 * upkeep.OLD_DAYS * 86_400))
        return wish

    def roles(self, wishes: list[Wish]) -> list[Role]:
        if self.leaning in FEW:
            return self._few(wishes[0])
        rng, roles = (
            self.rng,
            [Role("worker", actors.work)] * self.rng.choices((1, 2, 3), (1, 5, 3))[0],
        )
        for wish in wishes:
            clicks = [1] if wish.wished else rng.choices(range(3), (wish.forgotten * 5, 5, 4))
            roles += [
                Role("submitter", (actors.asker if wish.wished else actors.submitter)(wish))
            ] * clicks[0]
        roles += [Role("caretaker", upkeep.take_care)] * rng.choices((1, 2), (4, 1))[0]
        roles += [Role("clock", upkeep.let_time_pass)] * self.wants("clock", 0.8)
        roles += [Role("submitter", actors.canceller(rng.choice(wishes)))] * self.wants(
            "canceller", 0.3
        )
        roles += [Role("operator", actors.operator(rng.choice(wishes)))] * self.wants(
            "operator", 0.35
        )
        roles += [Role("janitor", upkeep.prune)] * self.wants("janitor", 0.2)
        roles += [Role("janitor", upkeep.forget)] * any(wish.forgotten for wish in wishes)
        rng.shuffle(roles)
        return roles

    def _few(self, wish: Wish) -> list[Role]:
        submit, stop = (
            Role("submitter", play(wish)) for play in (actors.submitter, actors.canceller)
        )
        if self.leaning == QUITTERS:
            return [submit, stop, *[Role("worker", actors.work_briefly)] * 2]
        roles = [submit, Role("clock", upkeep.haunt), *[Role("worker", actors.work)] * 2]
        if self.leaning == CROWD:
            roles += [stop, Role("operator", actors.operator(wish))]
            roles += [Role("caretaker", upkeep.take_care)]
        return roles


def _checked(owner: Profile) -> DoublingInputs:
    made: DoublingInputs = DoublingInputs.objects.create(owner=owner, status=InputsStatus.VALID)
    return made
