"""Requests with tools, as a program makes them, and the calls that come back."""

import json

from consumer import pb

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Paris", "Zürich"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}

DAYS = {"type": "object", "properties": {"days": WEATHER["properties"]["days"]}, "required": ["days"]}


def add(request, *names, choice=pb.TOOL_CHOICE_AUTO, schema=WEATHER, **options):
    """Tools with these names, all with the same schema."""
    request.tools.CopyFrom(pb.ToolUse(choice=choice, **options))
    for name in names:
        request.tools.tools.add(name=name, description=f"Does {name}.", parameters=json.dumps(schema))
    return request


class Calls:
    """The calls of one turn, put together of their pieces."""

    def __init__(self, turn):
        self.calls = []
        for piece in turn.pieces:
            if piece.index == len(self.calls):
                assert piece.id and piece.name
                self.calls.append(pb.ToolCall(id=piece.id, name=piece.name))
            else:
                assert piece.index == len(self.calls) - 1 and not piece.id and not piece.name
            self.calls[-1].arguments += piece.arguments

    @property
    def names(self):
        return [call.name for call in self.calls]

    @property
    def arguments(self):
        return [json.loads(call.arguments) for call in self.calls]
