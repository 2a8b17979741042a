"""After the story: where everything is, and what a person may try.

Knows the stage and words. Must not know how the story went but for its end.
"""

import time

from tools.demo.audience import guardrail_query
from tools.demo.sources import query_url
from tools.demo.stage import CONFIG_MAP, GATE, NAMESPACE, Part, Stage, environment
from tools.demo.timeline import Timeline
from tools.devcluster.roles import Role

LOOK_SECONDS = 0.5
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

Break the treatment, and see it rolled back; repair it, and begin again (the attempt one higher each time; the latch's message names it):
  for shop in {shops}; do curl -sX POST "$shop/fault?variant=treatment&rate=0.3"; echo; done
  kubectl get rexp {gate} -n {namespace} -o jsonpath='{{.status.latch.message}}'; echo
  for shop in {shops}; do curl -sX POST "$shop/fault?variant=treatment&rate=0"; echo; done
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"attempt":5,"killed":null}}}}'

Pause it, and let it go on:
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"paused":true}}}}'
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"paused":null}}}}'

Give it a last step that waits for approval; approve it, and ship (both name the attempt that runs):
  kubectl patch rexp {gate} -n {namespace} --type=merge \\
    -p '{{"spec":{{"ramp":{{"steps":[{{"percent":50,"hold":"5s"}},{{"percent":100,"hold":"10m","approval":true}}]}}}}}}'
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"approved":{{"attempt":5,"upTo":100}}}}}}'
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"ship":{{"attempt":5,"variant":"treatment"}}}}}}'

Stop it by hand:
  kubectl patch rexp {gate} -n {namespace} --type=merge -p '{{"spec":{{"killed":true}}}}'

End the operator, or Prometheus, and see what goes on without it; start an operator again:
  kill -9 {operator_pid}          # the operator
  kill {prometheus_pid}             # Prometheus; nothing starts it again
  KUBECONFIG={operator_kubeconfig} RAMPGATE_SOURCES__DEFAULT__URL={prometheus} RAMPGATE_LISTEN=127.0.0.1:8080 \\
    RAMPGATE_LEASE__NAMESPACE={namespace} RAMPGATE_LEASE__IDENTITY=demo rampgate operator

What one user is shown, and why:   curl -s "{shop}/rules?user=user-7"; echo
What the users were shown:         tail -f {directory}/load.log          # steps: by attempt/percent, how many users, how many enrolled
What the operator says:            tail -f {directory}/operator.log
Prometheus' API (built without its web page):
  curl -s {prometheus}/api/v1/targets; echo
The guardrail's query:
  curl -s "{query}"; echo

Ctrl-C ends all of it."""
ENDED = {
    Part.OPERATOR: "the operator has ended: nothing ramps or rolls back until one runs again; what is served stays",
    Part.PROMETHEUS: "Prometheus has ended: there are no readings, so no step and no rollback by a breach",
}


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
            operator_pid=stage.operator.pid,
            prometheus_pid=stage.prometheus.pid,
            operator_kubeconfig=stage.cluster.kubeconfig(Role.OPERATOR),
        )
    )


def wait_for_interrupt(stage: Stage, timeline: Timeline) -> None:
    """Wait until Ctrl-C or SIGTERM, which is how a kept demo ends well; meanwhile tell who is gone, once."""
    told: set[Part] = set()
    try:
        while True:
            for part in stage.ended():
                if part not in told:
                    timeline.say(ENDED[part])
                told.add(part)
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return
