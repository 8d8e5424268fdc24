"""What a page's form sends: few short fields, read strictly."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from serving.api.problems import ProblemError, shown

MOST_BYTES = 64 * 1024
MOST_FIELDS = 50
TYPE = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; ProblemError for another type, too many bytes or fields."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != TYPE:
        raise ProblemError(
            "unsupported-media-type", f"Found {shown(media_type)}; expected {TYPE}.",
            field="content-type", found=shown(media_type), expected=TYPE,
        )  # fmt: skip
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise ProblemError("too-large", f"Found more than {MOST_BYTES} bytes in a form.")
    return parsed(bytes(content))


def parsed(content: bytes) -> dict[str, str]:
    """The fields of an encoded form; the last of a name counts.

    >>> parsed(b"user=ana&note=a+b%21")
    {'user': 'ana', 'note': 'a b!'}
    """
    try:
        pairs = parse_qsl(
            content.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=MOST_FIELDS,
        )  # fmt: skip
    except ValueError:
        detail = f"Found a form that is not UTF-8, or has more than {MOST_FIELDS} fields."
        raise ProblemError("invalid-request", detail) from None
    return dict(pairs)
