"""What may happen, by name, and how a history is played: act, let the world settle, and see that it is at rest."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY
from rampgate_operator.process import resync
from tests.simulation.world import EXPOSURES, GATE, GUARDRAILS, NEIGHBOUR, PODS, RULES, SPEC, STEPS, World

Act = Callable[[World], Awaitable[None] | None]
STRICTER = [{**GUARDRAILS[0], "max": 0.9}, *GUARDRAILS[1:]]
CONFIRM = {"pods": "75%", "timeout": "20s"}
NOWHERE = {"windows": [{"days": ["Mon"], "from": "09:00", "to": "10:00", "timeZone": "Nowhere"}]}


def edit(**fields: Any) -> Act:
    return lambda world: world.edit(**fields)


def read(name: str, mode: str) -> Act:
    def act(world: World) -> None:
        world.modes[name] = mode
        world.elapsed += 1  # no two answers for one instant

    return act


def turn(**time: float) -> Act:
    def act(world: World) -> None:
        world.offset += timedelta(**time)

    return act


def begin_again(**fields: Any) -> Act:
    return lambda world: world.edit(attempt=world.attempt + 1, **fields)


def ship(world: World) -> None:
    world.edit(ship={"attempt": world.attempt, "variant": "on"})


def approve(world: World) -> None:
    world.edit(approved={"attempt": world.attempt, "upTo": 100})


def deadline(seconds: float, word: str) -> Act:
    def act(world: World) -> None:
        moment = (world.now() + timedelta(seconds=seconds)).isoformat()
        world.edit(schedule={"deadline": moment, "onDeadline": word})

    return act


def tamper(world: World) -> None:
    entry = world.ledger.entry()
    if entry is not None:
        line = (world.data or {})["new-checkout.json"]
        forged = line.replace(f'"generation":{entry.generation}', f'"generation":{entry.generation + 3}')
        world.change_data(**{"new-checkout.json": forged.replace('"percent":', '"percent":9')})


def strip_label(world: World) -> None:
    if world.data is not None:
        world.cluster.put_config_map(RULES, world.data)


def wipe(world: World) -> None:
    if GATE in world.cluster.experiments:
        world.cluster.wipe_status(GATE)


def create_again(world: World) -> None:
    spec = world.cluster.experiments.get(GATE, {"spec": SPEC})["spec"]
    world.cluster.delete_experiment(GATE)
    world.cluster.apply(GATE, spec)


def go_blind(world: World) -> None:
    world.blind = True


async def see_again(world: World) -> None:
    world.blind = False
    await resync(world.cluster, world.reconciler, world.agenda)  # type: ignore[arg-type]  # an agenda is queue enough


def crash_after(effects: int) -> Act:
    def act(world: World) -> None:
        world.crash_after = effects

    return act


def refuse(world: World) -> None:
    world.refuse += 1


ACTS: dict[str, tuple[int, Act]] = {  # how often, beside what
    "wait 1 s": (4, lambda world: world.wait(1)),
    "wait 10 s": (12, lambda world: world.wait(10)),
    "wait 1 min": (24, lambda world: world.wait(60)),
    "errors: good": (10, read("errors", "good")),
    "errors: bad": (2, read("errors", "bad")),
    "errors: none": (2, read("errors", "none")),
    "errors: nan": (1, read("errors", "nan")),
    "errors: failing": (2, read("errors", "error")),
    "errors: late": (1, read("errors", "late")),
    "orders: good": (10, read("orders", "good")),
    "orders: bad": (2, read("orders", "bad")),
    "orders: none": (1, read("orders", "none")),
    "orders: late": (1, read("orders", "late")),
    "failed: good": (10, read("failed", "good")),
    "failed: bad": (1, read("failed", "bad")),
    "failed: none": (1, read("failed", "none")),
    "failed: nan": (1, read("failed", "nan")),
    "failed: failing": (1, read("failed", "error")),
    "failed: late": (1, read("failed", "late")),
    "exposures: as drawn": (10, read(EXPOSURES, "good")),
    "exposures: lost by one arm": (1, read(EXPOSURES, "bad")),
    "exposures: none": (1, read(EXPOSURES, "none")),
    "exposures: failing": (1, read(EXPOSURES, "error")),
    "exposures: late": (1, read(EXPOSURES, "late")),
    "pods: all follow": (6, read(PODS, "good")),
    "pods: half of them follow": (2, read(PODS, "bad")),
    "pods: none is seen": (1, read(PODS, "none")),
    "pods: failing": (1, read(PODS, "error")),
    "pods: late": (1, read(PODS, "late")),
    "kill": (1, edit(killed=True)),
    "remove killed": (2, edit(killed=None)),
    "begin again": (6, begin_again(killed=None)),
    "begin again with another salt": (1, begin_again(killed=None, salt="another")),
    "begin again with a kill": (1, begin_again(killed=True)),
    "lower the attempt": (1, edit(attempt=1)),
    "pause": (2, edit(paused=True)),
    "go on": (4, edit(paused=None)),
    "plain steps": (3, edit(ramp={"steps": STEPS["plain"]})),
    "plain steps, confirmed": (3, edit(ramp={"steps": STEPS["plain"], "confirm": CONFIRM})),
    "other steps": (2, edit(ramp={"steps": STEPS["other"]})),
    "higher steps": (1, edit(ramp={"steps": STEPS["higher"]})),
    "steps with approval": (2, edit(ramp={"steps": STEPS["approved"]})),
    "approve": (2, approve),
    "another guardrail": (1, edit(guardrails=STRICTER)),
    "the old guardrail": (1, edit(guardrails=GUARDRAILS)),
    "no guardrails": (1, edit(guardrails=None)),
    "overrides": (1, edit(overrides=[{"variant": "on", "units": ["qa"]}])),
    "no overrides": (1, edit(overrides=None)),
    "ship": (1, ship),
    "do not ship": (1, edit(ship=None)),
    "an invalid schedule": (2, edit(schedule=NOWHERE)),
    "no schedule": (4, edit(schedule=None)),
    "a deadline that holds": (1, deadline(30, "Hold")),
    "a deadline that rolls back": (1, deadline(30, "Rollback")),
    "a deadline that is past": (1, deadline(-30, "Rollback")),
    "break the glass": (4, lambda world: world.change_data(**{KILL_KEY: "new-checkout"})),
    "mend the glass": (6, lambda world: world.change_data(**{KILL_KEY: None})),
    "a foreign ConfigMap": (1, lambda world: world.change_data(**{FORMAT_KEY: "theirs"})),
    "our ConfigMap": (3, lambda world: world.change_data(**{FORMAT_KEY: FORMAT})),
    "delete the ConfigMap": (1, lambda world: world.cluster.delete_config_map(RULES)),
    "remove the entry": (1, lambda world: world.change_data(**{"new-checkout.json": None})),
    "tamper with the entry": (1, tamper),
    "strip the label": (1, strip_label),
    "wipe the status": (3, wipe),
    "delete the Experiment": (1, lambda world: world.cluster.delete_experiment(GATE)),
    "create it again": (2, create_again),
    "edit the neighbour": (1, lambda world: world.edit(NEIGHBOUR, owner=f"team-{world.elapsed}", paused=None)),
    "restart the operator": (2, lambda world: world.restart()),
    "crash before the next effect": (1, crash_after(0)),
    "crash after one effect": (3, crash_after(1)),
    "crash after two effects": (1, crash_after(2)),
    "refuse a write": (1, refuse),
    "lose the watch": (1, go_blind),
    "list again": (3, see_again),
    "the clock goes back": (1, turn(minutes=-45)),
    "the clock goes forward": (1, turn(hours=1)),
}
NAMES = list(ACTS)
WEIGHTED = [name for name, (weight, _) in ACTS.items() for _ in range(weight)]


async def play(names: Sequence[str]) -> World:
    """Play a history; AssertionError names the invariant that it broke, and the action it broke at."""
    world = World()
    await world.begin()
    for number, name in enumerate(names):
        try:
            done = ACTS[name][1](world)
            if done is not None:
                await done
            await world.settle()
            await rest(world)
        except AssertionError as error:
            raise AssertionError(f"{error} (action {number}: {name})") from error
    return world


async def rest(world: World) -> None:
    """I8: reconciled again, a settled world is left as it is."""
    if world.blind or world.refuse or world.failed or world.crash_after is not None:
        return
    for _ in range(3):  # the first may find that the clock was turned, and ask; the second takes in what was answered
        written = world.writes
        for key in (GATE, NEIGHBOUR):
            world.agenda.add(key)
        await world.settle()
    assert world.writes == written, "I8: something was written with nothing new"


async def end_well(world: World) -> None:
    """With every trouble gone, a new attempt runs to its end by itself."""
    await world.heal()
    await world.wait(300)
    status = world.cluster.experiments[GATE]["status"]
    assert status["phase"] == "Completed", f"it is stuck: {status['phase']} {status['percent']} {status.get('waitingFor')}"
    await world.reconciler.close()
