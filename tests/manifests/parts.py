"""The table of manifests: what is said of the parts of a spec: eligibility, ramp, schedule and guardrails."""

from tests.manifests.eligibility import ELIGIBILITY
from tests.manifests.groups import GROUPS
from tests.manifests.table import REMOVED, Row
from tests.manifests.words import (
    COUNTERS,
    DURATION,
    FALSE_ROLLBACKS,
    GUARDRAIL,
    HOLD,
    INCREASE,
    INTERVAL,
    LABEL,
    PODS,
    RISING,
    TIME_OF_DAY,
    TIME_RULE,
    WINDOW,
    WINDOW_ORDER,
    must_be,
    steps,
)

RAMP = (
    Row("one step is a ramp", {"spec.ramp.steps": steps(100)}),
    Row("no steps are refused", {"spec.ramp.steps": []}, (("spec.ramp.steps", "should have at least 1 items"),)),
    Row("a ramp without steps is refused", {"spec.ramp": {}}, (("spec.ramp.steps", "Required value"),)),
    Row("steps that are an object are refused", {"spec.ramp.steps": {}}, must_be("spec.ramp.steps", "array", "object")),
    Row("twenty steps are accepted", {"spec.ramp.steps": steps(*range(1, 21))}),
    Row(
        "twenty-one steps are refused",
        {"spec.ramp.steps": steps(*range(1, 22))},
        (("spec.ramp.steps", "Too many: 21: must have at most 20 items"),),
    ),
    Row("steps that fall are refused", {"spec.ramp.steps": steps(10, 5, 50)}, (("spec.ramp.steps", RISING),)),
    Row("two equal steps are refused", {"spec.ramp.steps": steps(5, 10, 10)}, (("spec.ramp.steps", RISING),)),
    Row("whole numbers and fractions may be mixed in a ramp", {"spec.ramp.steps": steps(0.5, 1, 2.5, 10)}),
    Row("a hold is required", {HOLD: REMOVED}, ((HOLD, "Required value"),)),
    *(Row(f"a hold of {hold} is accepted", {HOLD: hold}) for hold in ("0s", "300ms", "90s", "10m", "4h", "7d", "9999d", "999999h")),
    *(
        Row(f"a hold of {hold!r} is refused", {HOLD: hold}, ((HOLD, DURATION),))
        for hold in ("", "10", "1.5h", "-1h", "1h30m", "1 h", "10min", "1h\n", "10000d", "\N{FULLWIDTH DIGIT ONE}h")
    ),
    Row("a hold as a bare number is refused", {HOLD: 600}, must_be(HOLD, "string", "integer")),
    Row("a hold of nine characters is refused", {HOLD: "1234567ms"}, ((HOLD, "Too long: may not be more than 8 bytes"),)),
    Row(
        "no exposures at all are no minimum",
        {"spec.ramp.steps[0].minExposures": 0},
        (("spec.ramp.steps[0].minExposures", "should be greater than or equal to 1"),),
    ),
    Row(
        "approval as text is refused",
        {"spec.ramp.steps[0].approval": "true"},
        must_be("spec.ramp.steps[0].approval", "boolean", "string"),
    ),
    Row("pods may confirm each step as most people want it", {"spec.ramp.confirm": {}}),
    *(Row(f"{pods} of the pods may confirm", {"spec.ramp.confirm": {"pods": pods}}) for pods in ("1%", "50%", "100%")),
    *(
        Row(f"{pods!r} of the pods is no share", {"spec.ramp.confirm": {"pods": pods}}, (("spec.ramp.confirm.pods", PODS),))
        for pods in ("0%", "101%", "95", "9.5%", "05%", "95%\n", "")
    ),
    Row("a share of pods as a number is refused", {"spec.ramp.confirm.pods": 95}, must_be("spec.ramp.confirm.pods", "string", "integer")),
    Row("a timeout that is no duration is refused", {"spec.ramp.confirm.timeout": "soon"}, (("spec.ramp.confirm.timeout", DURATION),)),
)

SCHEDULE = (
    Row("an empty schedule is accepted", {"spec.schedule": {}}),
    Row("a time with an offset is accepted", {"spec.schedule.notBefore": "2026-12-01T09:00:00+05:30"}),
    Row("a time with nanoseconds is accepted", {"spec.schedule.notBefore": "2026-12-01T09:00:00.123456789Z"}),
    *(
        Row(
            f"the time {text!r} is refused",
            {"spec.schedule.deadline": text},
            must_be("spec.schedule.deadline", "date-time", text),
        )
        for text in (
            "",
            "tomorrow",
            "2026-12-20",
            "2026-12-20T00:00:00",
            "2026-12-20 00:00:00Z",
            "2026-12-20T00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-12-20T24:00:00Z",
            "2026-12-20T23:59:60Z",
        )
    ),
    *(
        Row(
            f"the time {text!r} is refused by a rule",
            {"spec.schedule.deadline": text, "spec.schedule.notBefore": REMOVED},
            (("spec.schedule.deadline", TIME_RULE),),
        )
        for text in ("1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "2026-12-20t00:00:00z", "2026-12-20T00:00:00+25:00")
    ),
    Row(
        "a time as seconds since 1970 is refused",
        {"spec.schedule.deadline": 1766188800},
        must_be("spec.schedule.deadline", "date-time", "int64"),
    ),
    Row(
        "a time with too many decimals is refused",
        {"spec.schedule.deadline": f"2026-12-20T00:00:00.{'0' * 30}Z"},
        (("spec.schedule.deadline", "Too long: may not be more than 40 bytes"),),
    ),
    Row("a deadline that is null is absent", {"spec.schedule.deadline": None}),
    Row(
        "a deadline at notBefore is refused",
        {"spec.schedule.deadline": "2026-12-01T10:00:00+01:00"},
        (("spec.schedule.deadline", "deadline must be later than notBefore"),),
    ),
    Row("a deadline one second after notBefore is accepted", {"spec.schedule.deadline": "2026-12-01T10:00:01+01:00"}),
    Row(
        "a deadline may not ship",
        {"spec.schedule.onDeadline": "Ship"},
        (("spec.schedule.onDeadline", 'Unsupported value: "Ship": supported values: "Hold", "Rollback"'),),
    ),
    Row("a window to the end of the day is accepted", {f"{WINDOW}.to": "24:00"}),
    Row("a window from its end is refused", {f"{WINDOW}.from": "16:00"}, ((f"{WINDOW}.to", WINDOW_ORDER),)),
    Row("a window over midnight is refused", {f"{WINDOW}.from": "22:00", f"{WINDOW}.to": "04:00"}, ((f"{WINDOW}.to", WINDOW_ORDER),)),
    Row("an hour without its 0 is refused", {f"{WINDOW}.from": "0:00"}, ((f"{WINDOW}.from", TIME_OF_DAY),)),
    Row("24:30 is refused", {f"{WINDOW}.to": "24:30"}, ((f"{WINDOW}.to", TIME_OF_DAY),)),
    Row(
        "an hour that YAML reads as a number of seconds is refused", {f"{WINDOW}.from": 540}, must_be(f"{WINDOW}.from", "string", "integer")
    ),
    Row("a day named twice is refused", {f"{WINDOW}.days": ["Mon", "Tue", "Mon"]}, ((f"{WINDOW}.days", "each day may be named once"),)),
    Row("all seven days are accepted", {f"{WINDOW}.days": ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]}),
    Row(
        "a day in full is refused",
        {f"{WINDOW}.days": ["Monday"]},
        ((f"{WINDOW}.days[0]", 'Unsupported value: "Monday": supported values: "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"'),),
    ),
    Row("a window without days is refused", {f"{WINDOW}.days": REMOVED}, ((f"{WINDOW}.days", "Required value"),)),
    Row("a window's time zone may be left out", {f"{WINDOW}.timeZone": REMOVED}),
)

BREACHES = "breaches goes with query: the evidence of what is counted adds up by itself"
INCREASE_OF_COUNTS = "maxIncrease goes with what is counted: a query has max and min"
RATE_OF_ONE = "a rate is between 0.000001 and 0.999999: write 0.02 for 2 %"
_ONE = "give exactly one of query, counters, errorRate, slowerThan and latency"
_INCREASE, _RATE = f"{COUNTERS}.maxIncrease", "spec.analysis.falseRollbackRate"
_LIMITS = "give maxIncrease, max or both: a rate is compared with control's, or with a limit"
ERRORS, SLOW, LATENCY = "spec.guardrails[3]", "spec.guardrails[4]", "spec.guardrails[5]"
CLUSTERS = "dispersion goes with what is counted, and of units it is a factor: by default the number of processes"
DISPERSION, SPANS = "give either factor or measuredOver", "write 5m to 2h, such as 30m"
SPAN = f"{COUNTERS}.dispersion.measuredOver"
_BOUND = "a request is slower than 0 anyway: write a bound of the histogram's buckets, such as 250ms"

COUNTED = (
    Row("counters without any limit are refused", {_INCREASE: REMOVED}, ((_INCREASE, _LIMITS),)),
    Row("counters with an absolute limit are accepted", {f"{COUNTERS}.max": 0.1}),
    Row("counters with an absolute limit alone are accepted", {f"{COUNTERS}.max": 0.1, _INCREASE: REMOVED}),
    *(
        Row(f"a rate of at most {limit} is refused", {f"{COUNTERS}.max": limit}, ((f"{COUNTERS}.max", RATE_OF_ONE),))
        for limit in (0, 1e-9, 1, 2, -0.1)
    ),
    Row(
        "maxIncrease beside a query is refused",
        {f"{GUARDRAIL}.maxIncrease": "5%"},
        ((f"{GUARDRAIL}.maxIncrease", INCREASE_OF_COUNTS),),
    ),
    Row(
        "a minimum beside counters is refused",
        {f"{COUNTERS}.min": 0.1},
        ((f"{COUNTERS}.min", "min goes with query: of what is counted only too much is harm"),),
    ),
    Row(
        "breaches beside counters are refused",
        {f"{COUNTERS}.breaches": {"count": 1}},
        ((f"{COUNTERS}.breaches", BREACHES),),
    ),
    Row(
        "onInconclusive beside a query is refused",
        {f"{GUARDRAIL}.onInconclusive": "Hold"},
        ((f"{GUARDRAIL}.onInconclusive", "onInconclusive goes with what is counted: a query is within its limits or not"),),
    ),
    Row("onInconclusive may advance", {f"{COUNTERS}.onInconclusive": "Advance"}),
    Row(
        "onInconclusive may not roll back",
        {f"{COUNTERS}.onInconclusive": "Rollback"},
        ((f"{COUNTERS}.onInconclusive", 'Unsupported value: "Rollback": supported values: "Advance", "Hold"'),),
    ),
    Row("an error rate of requests is accepted", {f"{ERRORS}.errorRate.per": "Request"}),
    Row("an error rate is of units unless it says so", {f"{ERRORS}.errorRate": {}}),
    Row(
        "an error rate of anything else is refused",
        {f"{ERRORS}.errorRate.per": "User"},
        ((f"{ERRORS}.errorRate.per", 'Unsupported value: "User": supported values: "Unit", "Request"'),),
    ),
    Row("two forms at once are refused", {f"{ERRORS}.slowerThan": "1s"}, ((ERRORS, _ONE),)),
    Row("slower than a limit is accepted", {f"{SLOW}.max": 0.05, f"{SLOW}.maxIncrease": REMOVED}),
    Row("slower than a number is refused", {f"{SLOW}.slowerThan": 300}, must_be(f"{SLOW}.slowerThan", "string", "integer")),
    Row("slower than nothing is refused", {f"{SLOW}.slowerThan": "0ms"}, ((f"{SLOW}.slowerThan", _BOUND),)),
    Row(
        "latency with a limit is refused",
        {f"{LATENCY}.max": 0.1},
        ((f"{LATENCY}.max", "latency is compared, with maxIncrease: for a limit use slowerThan"),),
    ),
    Row(
        "latency at two bounds is refused",
        {f"{LATENCY}.latency.buckets": ["100ms", "300ms"]},
        ((f"{LATENCY}.latency.buckets", "should have at least 3 items"),),
    ),
    Row(
        "latency at six bounds is refused",
        {f"{LATENCY}.latency.buckets": ["1s", "2s", "3s", "4s", "5s", "6s"]},
        ((f"{LATENCY}.latency.buckets", "Too many: 6: must have at most 5 items"),),
    ),
    Row(
        "latency at 0 is refused",
        {f"{LATENCY}.latency.buckets": ["0s", "2s", "3s"]},
        ((f"{LATENCY}.latency.buckets[0]", _BOUND),),
    ),
    Row("counters whose events come in clusters are accepted", {f"{COUNTERS}.dispersion": {"factor": 3}}),
    *(
        Row(f"{what} that come in clusters are accepted", {f"{place}.dispersion": {"factor": 1.5}, **more})
        for what, place, more in (("failed requests", ERRORS, {f"{ERRORS}.errorRate.per": "Request"}), ("slow requests", SLOW, {}))
    ),
    Row("a latency of requests that come in clusters is accepted", {f"{LATENCY}.dispersion": {"factor": 1}}),
    Row("units that are counted by several processes are accepted", {f"{ERRORS}.errorRate": {}, f"{ERRORS}.dispersion": {"factor": 3}}),
    Row("a query does not come in clusters", {f"{GUARDRAIL}.dispersion": {"factor": 3}}, ((f"{GUARDRAIL}.dispersion", CLUSTERS),)),
    Row(
        "a dispersion below that of independent events is refused",
        {f"{COUNTERS}.dispersion": {"factor": 0.5}},
        ((f"{COUNTERS}.dispersion.factor", "should be greater than or equal to 1"),),
    ),
    Row(
        "a dispersion of more than 1000 is refused",
        {f"{COUNTERS}.dispersion": {"factor": 1001}},
        ((f"{COUNTERS}.dispersion.factor", "should be less than or equal to 1000"),),
    ),
    *(
        Row(f"a dispersion of {what} is refused", {f"{COUNTERS}.dispersion": dispersion}, ((f"{COUNTERS}.dispersion", DISPERSION),))
        for what, dispersion in (("nothing", {}), ("both", {"factor": 3, "measuredOver": "30m"}))
    ),
    *(
        Row(f"a dispersion that is measured over {span} is accepted", {f"{COUNTERS}.dispersion": {"measuredOver": span}})
        for span in ("5m", "300s", "30m", "2h", "7200s")
    ),
    *(
        Row(f"a dispersion that is measured over {span} is refused", {f"{COUNTERS}.dispersion": {"measuredOver": span}}, ((SPAN, problem),))
        for span, problem in (("4m", SPANS), ("299s", SPANS), ("121m", SPANS), ("99999h", SPANS), ("1d", INTERVAL), ("0m", INTERVAL))
    ),
    Row(
        "a dispersion of units is not measured",
        {f"{ERRORS}.dispersion": {"measuredOver": "30m"}},
        ((f"{ERRORS}.dispersion", CLUSTERS),),
    ),
    Row(
        "counters without events are refused",
        {f"{COUNTERS}.counters.events": REMOVED},
        ((f"{COUNTERS}.counters.events", "Required value"),),
    ),
    Row(
        "an empty counter is refused",
        {f"{COUNTERS}.counters.total": ""},
        ((f"{COUNTERS}.counters.total", "should be at least 1 chars long"),),
    ),
    *(Row(f"an increase of {text} is accepted", {_INCREASE: text}) for text in ("0%", "0.5%", "12.25%", "999.99%", "1000%")),
    *(
        Row(f"an increase of {text!r} is refused", {_INCREASE: text}, ((_INCREASE, INCREASE),))
        for text in ("", "5", "-5%", "1000.1%", "1001%", "5.125%", ".5%", "5 %", "5%\n", "\N{FULLWIDTH DIGIT FIVE}%")
    ),
    Row("an increase as a number is refused", {_INCREASE: 0.05}, must_be(_INCREASE, "string", "number")),
    Row("an increase of nine characters is refused", {_INCREASE: "000000.1%"}, ((_INCREASE, "Too long: may not be more than 8 bytes"),)),
    Row("an analysis without a rate takes its default", {"spec.analysis": {}}),
    Row("no analysis is accepted", {"spec.analysis": REMOVED}),
    *(
        Row(f"a false rollback rate of {text} is accepted", {_RATE: text})
        for text in ("0.1%", "0.25%", "1%", "9.99%", "10%", "10.5%", "19.99%", "20%")
    ),
    *(
        Row(f"a false rollback rate of {text!r} is refused", {_RATE: text}, ((_RATE, FALSE_ROLLBACKS),))
        for text in ("0%", "0.09%", "0.0%", "20.01%", "21%", "100%", "05%")
    ),
)

GUARDRAILS = (
    Row("no guardrails are accepted", {"spec.guardrails": REMOVED}),
    Row("a guardrail with a lower bound alone is accepted", {f"{GUARDRAIL}.min": 1, f"{GUARDRAIL}.max": REMOVED}),
    Row("bounds may be negative", {f"{GUARDRAIL}.min": -2.5, f"{GUARDRAIL}.max": -1}),
    Row("a guardrail without bounds is refused", {f"{GUARDRAIL}.max": REMOVED}, ((GUARDRAIL, "give max, min or both"),)),
    Row("a bound that is null is absent", {f"{GUARDRAIL}.max": None}, ((GUARDRAIL, "give max, min or both"),)),
    Row("a minimum at the maximum is refused", {f"{GUARDRAIL}.min": 0.8}, ((f"{GUARDRAIL}.min", "min must be smaller than max"),)),
    Row("a bound beyond all whole numbers is accepted", {f"{GUARDRAIL}.max": 1e30}),
    Row("a bound as text is refused", {f"{GUARDRAIL}.max": "0.8"}, must_be(f"{GUARDRAIL}.max", "number", "string")),
    Row("a guardrail of no form is refused", {f"{GUARDRAIL}.query": REMOVED}, ((GUARDRAIL, _ONE), (f"{GUARDRAIL}.breaches", BREACHES))),
    Row(
        "a query beside counters is refused",
        {f"{COUNTERS}.query": "x", f"{COUNTERS}.min": 1},
        ((COUNTERS, _ONE), (_INCREASE, INCREASE_OF_COUNTS)),
    ),
    Row("an empty query is refused", {f"{GUARDRAIL}.query": ""}, ((f"{GUARDRAIL}.query", "should be at least 1 chars long"),)),
    Row(
        "a query of 2049 characters is refused",
        {f"{GUARDRAIL}.query": "x" * 2049},
        ((f"{GUARDRAIL}.query", "Too long: may not be more than 2048 bytes"),),
    ),
    Row("a guardrail's name in capitals is refused", {f"{GUARDRAIL}.name": "P99"}, ((f"{GUARDRAIL}.name", LABEL),)),
    Row(
        "two guardrails of one name are refused",
        {"spec.guardrails[1].name": "p99"},
        (("spec.guardrails[1]", 'Duplicate value: {"name":"p99"}'),),
    ),
    Row(
        "a breach may not ship",
        {f"{GUARDRAIL}.onBreach": "rollback"},
        ((f"{GUARDRAIL}.onBreach", 'Unsupported value: "rollback": supported values: "Rollback", "Hold", "Notify"'),),
    ),
    Row(
        "missing data may not notify alone",
        {f"{GUARDRAIL}.onNoData": "Notify"},
        ((f"{GUARDRAIL}.onNoData", 'Unsupported value: "Notify": supported values: "Hold", "Rollback"'),),
    ),
    Row("breaches take their defaults", {f"{GUARDRAIL}.breaches": {}}),
    Row("as many breaches as looks are accepted", {f"{GUARDRAIL}.breaches": {"count": 3, "of": 3}}),
    Row(
        "more breaches than looks are refused",
        {f"{GUARDRAIL}.breaches": {"count": 2}},
        ((f"{GUARDRAIL}.breaches.count", "count must not be larger than of, which is 1 when left out"),),
    ),
    Row(
        "no breach at all is refused",
        {f"{GUARDRAIL}.breaches.count": 0},
        ((f"{GUARDRAIL}.breaches.count", "should be greater than or equal to 1"),),
    ),
    Row("a source that is no name is refused", {f"{GUARDRAIL}.source": "http://prometheus:9090"}, ((f"{GUARDRAIL}.source", LABEL),)),
)

PARTS = (*ELIGIBILITY, *GROUPS, *RAMP, *SCHEDULE, *GUARDRAILS, *COUNTED)
