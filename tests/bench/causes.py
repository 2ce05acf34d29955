"""Why a goal that is not good is not: one honest sentence each, kept by hand beside the figures it explains."""

CAUSES: dict[str, str] = {
}
