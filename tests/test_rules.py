"""rules: what is known of ConfigMaps, and when it is asked for again."""

from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, Ownership
from rampgate_operator.ports import Key
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules
from tests.simulation.memory import MemoryCluster

RULES = Key("shop", "feature-gates")


async def test_a_foreign_config_map_is_asked_for_every_time_also_after_a_lost_race() -> None:
    cluster = MemoryCluster()
    rules = Rules(cluster, Queue())
    cluster.put_config_map(RULES, {FORMAT_KEY: "theirs"})
    await rules.refresh(RULES)
    assert (await rules.see(RULES, "new-checkout")).ownership is Ownership.FOREIGN
    cluster.put_config_map(RULES, {FORMAT_KEY: FORMAT})
    assert (await rules.see(RULES, "new-checkout")).ownership is Ownership.OURS
