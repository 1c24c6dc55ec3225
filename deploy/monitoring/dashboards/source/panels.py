"""What all boards are made of: panels that look alike, variables, annotations, links."""

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# Processes of the service, those that the variables choose.
OF = 'job=~"$job", instance=~"$instance"'
RUNBOOKS = "deploy/monitoring/runbooks"
DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED = "green", "orange", "red"


def steps(*values, colours=(YELLOW, RED), base=GREEN):
    """Colours from these values on: the worse, the higher."""
    made = [Threshold(color=base)]
    made += [Threshold(value=float(value), color=colour) for value, colour in zip(values, colours)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def at_least(bad, fair):
    """Colours of what is worse the lower it is: red below `bad`, green from `fair` on."""
    return steps(bad, fair, colours=(YELLOW, GREEN), base=RED)


def query(expression, legend="", instant=False):
    made = prometheus.Dataquery().datasource(DATASOURCE).expr(" ".join(expression.split())).legend_format(legend)
    return made.instant() if instant else made.range()


def described(panel, title, what, runbook, unit, queries):
    text = what if runbook is None else f"{what}\n\nRunbook: {RUNBOOKS}/{runbook}.md"
    panel.title(title).description(text).datasource(DATASOURCE).unit(unit)
    for letter, one in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(one.ref_id(letter))
    return panel


def number(title, what, unit, expression, *, runbook=None, thresholds=None, width=4, decimals=None, month=False):
    """One number, large. With `month` it is of this calendar month, whatever time the board shows."""
    panel = stat.Panel().span(width).height(4)
    described(panel, title, what, runbook, unit, [query(expression, instant=True)])
    panel.graph_mode(BigValueGraphMode.NONE).no_value("none")
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.color_mode(BigValueColorMode.VALUE if thresholds else BigValueColorMode.NONE)
    panel.thresholds(thresholds or steps())
    if decimals is not None:
        panel.decimals(decimals)
    if month:
        panel.time_from("now/M")
    return panel


def graph(title, what, unit, *queries, runbook=None, lines=None, stacked=False, width=12, most=None):
    """Lines over time. `lines` are thresholds that are drawn."""
    panel = timeseries.Panel().span(width).height(8)
    described(panel, title, what, runbook, unit, queries)
    panel.min(0).line_width(1).fill_opacity(10 if not stacked else 30)
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
    panel.legend(legend.show_legend(True).calcs(["lastNotNull", "max"]))
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    panel.thresholds(lines or steps())
    if lines is not None:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if most is not None:
        panel.max(most)
    return panel


def rows(title, what, unit, expression, *, runbook=None, width=12, hidden=("Time", "__name__", "job")):
    """A table of what is now: a row a series."""
    panel = table.Panel().span(width).height(8).filterable(True)
    described(panel, title, what, runbook, unit, [query(expression, instant=True).format(PromQueryFormat.TABLE)])
    options = {"excludeByName": {name: True for name in hidden}, "renameByName": {"Value": title}}
    return panel.with_transformation(DataTransformerConfig(id_val="organize", options=options))


def chosen(name, label, asked, multi=False):
    """A variable whose values Prometheus has."""
    variable = dashboard.QueryVariable(name).label(label).datasource(DATASOURCE)
    variable.query({"query": asked, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    if multi:
        everything = VariableOption(selected=True, text="All", value="$__all")
        variable.multi(True).include_all(True).all_value(".+").current(everything)
    return variable


def annotation(name, colour, expression, title, text):
    made = dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(colour)
    made = made.expr(expression).build()
    # Fields of the data source's own, which the builder does not know.
    return Annotation(made, {"titleFormat": title, "textFormat": text, "step": "60s"})


class Annotation:
    """An annotation of Prometheus: the common fields, and those of the data source."""

    def __init__(self, common_fields, own):
        self.common_fields, self.own = common_fields, own

    def build(self):
        return self

    def to_json(self):
        return self.common_fields.to_json() | self.own


def board(uid, title, what, *, variables=(), parts):
    """A board: rows by question, each a title and its panels."""
    made = dashboard.Dashboard(f"Rulebox: {title}").uid(f"rulebox-{uid}").description(what).tags(["rulebox"])
    made.time("now-6h", "now").refresh("30s").timezone("utc").readonly().tooltip(DashboardCursorSync.CROSSHAIR)
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    # The alerts go by the job `rulebox`; a second installation beside it has another.
    made.with_variable(chosen("job", "Job", "label_values(rulebox_build_info, job)", multi=True))
    made.with_variable(chosen("instance", "Process", 'label_values(rulebox_build_info{job=~"$job"}, instance)', True))
    for variable in variables:
        made.with_variable(variable)
    versions = 'count by (version) (rulebox_build_info{job=~"$job"}) unless count by (version) (rulebox_build_info{job=~"$job"} offset 5m)'
    made.annotation(annotation("Deployments", "blue", versions, "Version {{version}}", ""))
    alerts = 'ALERTS{alertstate="firing", alertname=~"Rulebox.+"}'
    made.annotation(annotation("Alerts", "red", alerts, "{{alertname}}", "{{severity}}"))
    link = dashboard.DashboardLink("Rulebox").type(DashboardLinkType.DASHBOARDS).tags(["rulebox"])
    made.link(link.as_dropdown(True).include_vars(True).keep_time(True).icon("external link").tooltip("Other boards"))
    n = 0
    for title_of_row, panels in parts:
        n += 1
        made.with_row(dashboard.Row(title_of_row).id(n))
        for panel in panels:
            n += 1
            made.with_panel(panel.id(n))
    return made.build()


__all__ = ["OF", "at_least", "board", "chosen", "graph", "number", "query", "rows", "steps"]
