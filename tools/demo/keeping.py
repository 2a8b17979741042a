"""After the story: where everything is, and what a person may try.

Knows the stage and words. Must not know how the story went but for its end.
"""

import signal

from tools.demo.audience import guardrail_query
from tools.demo.sources import query_url
from tools.demo.stage import CONFIG_MAP, GATE, NAMESPACE, Stage, environment
from tools.demo.timeline import Timeline

WHOLE = "Everything still runs, and what the operator decides is told here."
BROKEN_OFF = "The story did not end as it should; what was started is left as it is, to look at."
THINGS = """\
{how} In another terminal:

  source {env}
  kubectl get rexp -n {namespace} -w                               # watch it
  kubectl describe rexp {gate} -n {namespace}
  kubectl explain rexp.spec.guardrails                      # every field is explained
  kubectl get configmap {config_map} -n {namespace} -o yaml     # the rules, a key per gate

If the break-glass key holds the gate on control (waitingFor BreakGlass), take it away, and the ramp goes on:
  kubectl patch configmap {config_map} -n {namespace} --type=merge -p '{{"data":{{"kill":null}}}}'

Break the treatment, and see it rolled back; repair it, and begin again:
  for shop in {shops}; do curl -X POST "$shop/fault?variant=treatment&rate=0.3"; done
  for shop in {shops}; do curl -X POST "$shop/fault?variant=treatment&rate=0"; done
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"attempt":4,"killed":null}}}}'

Stop it by hand:
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"killed":true}}}}'

What one user is shown, and why:   curl "{shop}/rules?user=user-7"
What the users were shown:         tail -f {directory}/load.log
What the operator says:            tail -f {directory}/operator.log
Prometheus:                        {prometheus}
The guardrail's query:             {query}

Ctrl-C ends all of it."""


def invite(stage: Stage, timeline: Timeline, *, went_well: bool) -> None:
    """Say where everything is and what to try."""
    timeline.plain(
        THINGS.format(
            how=WHOLE if went_well else BROKEN_OFF,
            env=environment(stage),
            namespace=NAMESPACE,
            gate=GATE,
            config_map=CONFIG_MAP,
            shops=" ".join(stage.shops),
            shop=stage.shops[0],
            directory=stage.directory,
            prometheus=stage.prometheus.url,
            query=query_url(stage.prometheus.url, guardrail_query()[0]),
        )
    )


def wait_for_interrupt() -> None:
    """Wait until Ctrl-C or SIGTERM, which is how a kept demo ends well."""
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return
