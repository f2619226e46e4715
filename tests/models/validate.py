"""Holds recorded requests and answers against AWS's published service models, which botocore has.

`python3 validate.py FILE` reads what the local edge writes with SHIPFRONT_EDGE_RECORDING: a JSON line a request. Of a request it
says whether the operation exists at this method and path, whether each parameter, header and element is a member, whether
required members are there, and whether values keep to lengths, ranges, patterns and enumerations. Of an answer it says the same of
headers and elements, and that botocore's own parser reads it. What is wrong is printed a line each, and the exit code is 1.
"""

import collections
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

import botocore
import botocore.awsrequest
import botocore.parsers
import botocore.session

# What a client adds to every request.
PLUMBING = re.compile(
    r"^(host|user-agent|accept|accept-encoding|content-length|content-type|connection|transfer-encoding|expect|te|date|"
    r"x-amz-date|x-amz-region-set|x-amz-content-sha256|x-amz-security-token|x-amz-user-agent|x-amz-target|amz-sdk-.*)$"
)
# What a server adds to every answer.
ANSWERED = re.compile(r"^(date|content-length|content-type|server|connection|transfer-encoding|accept-ranges|x-amz-request-id|x-amz-id-2|x-amzn-requestid)$")
SESSION = botocore.session.get_session()


class Problems:
    def __init__(self):
        self.found = collections.Counter()

    def add(self, record, text):
        self.found[f"{record['service']} {record['operation']}: {text}"] += 1


def name_in_xml(shape, key):
    return shape.serialization.get("name", key)


def scalar(shape, text, complain, where):
    """A value as its shape says."""
    kind = shape.type_name
    if kind in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", text):
            complain(f"{where}: {text!r} is no number")
            return None
        value = int(text)
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low or high is not None and value > high:
            complain(f"{where}: {value} is not within {low} and {high}")
        return value
    if kind in ("float", "double"):
        return float(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            complain(f"{where}: {text!r} is no boolean")
        return text == "true"
    if kind == "string":
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and len(text) < low or high is not None and len(text) > high:
            complain(f"{where}: {len(text)} characters are not within {low} and {high}")
        if shape.enum and text not in shape.enum:
            complain(f"{where}: {text!r} is not one of {shape.enum}")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(pattern.replace(r"\p{L}", r"\w").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d"), text):
            complain(f"{where}: {text!r} does not match {pattern}")
    return text


def required(shape, present, complain, where):
    for name in shape.required_members:
        if name not in present:
            complain(f"{where}: {name} is required and not there")


def plain(tag):
    return tag.split("}")[-1]


def walk(element, shape, complain, where):
    """An element of XML against its shape; what is no member, and what is missing."""
    kind = shape.type_name
    if kind == "structure":
        members = {}
        for key, member in shape.members.items():
            if member.serialization.get("location") or member.serialization.get("xmlAttribute"):
                continue
            # A flattened list's items bear the list's own name, or that of its member.
            names = {name_in_xml(member, key)}
            if member.type_name == "list" and member.serialization.get("flattened"):
                names.add(member.member.serialization.get("name", key))
            for name in names:
                members[name] = (key, member)
        present = {key for key, member in shape.members.items() if member.serialization.get("xmlAttribute")}
        present |= {key for key, member in shape.members.items() if member.serialization.get("location")}
        for child in element:
            found = members.get(plain(child.tag))
            if found is None:
                complain(f"{where}: {plain(child.tag)} is no member")
                continue
            key, member = found
            present.add(key)
            if member.type_name == "list" and member.serialization.get("flattened"):
                walk(child, member.member, complain, f"{where}.{key}")
            else:
                walk(child, member, complain, f"{where}.{key}")
        required(shape, present, complain, where)
    elif kind == "list":
        item = shape.member.serialization.get("name", "member")
        for child in element:
            if plain(child.tag) != item:
                complain(f"{where}: {plain(child.tag)} is no item, which is {item}")
                continue
            walk(child, shape.member, complain, f"{where}[]")
    elif kind == "map":
        pass
    elif kind not in ("blob", "timestamp"):
        scalar(shape, element.text or "", complain, where)


def json_value(value, shape, complain, where):
    kind = shape.type_name
    if kind == "structure":
        for key, inner in value.items():
            if key not in shape.members:
                complain(f"{where}: {key} is no member")
            elif inner is not None:
                json_value(inner, shape.members[key], complain, f"{where}.{key}")
        required(shape, value, complain, where)
    elif kind == "map":
        for inner in value.values():
            json_value(inner, shape.value, complain, where)
    elif kind == "list":
        for inner in value:
            json_value(inner, shape.member, complain, f"{where}[]")
    elif kind not in ("blob", "timestamp"):
        scalar(shape, json.dumps(value) if isinstance(value, (bool, int, float)) else value, complain, where)


def uri_members(operation, path, bucket_style):
    """Which labels of the path have which value, or None where the path is another one's."""
    template = operation.http["requestUri"].split("?")[0]
    if bucket_style and "{Bucket}" not in template:
        # Newer models leave the bucket to the host.
        template = "/{Bucket}" + template
    expression = ""
    for part in re.split(r"(\{[^}]+\})", template.rstrip("/") or "/"):
        if part.startswith("{"):
            name = part[1:-1]
            expression += f"(?P<{name.rstrip('+')}>{'.+' if name.endswith('+') else '[^/]+'})"
        else:
            expression += re.escape(part)
    found = re.fullmatch(expression, path.rstrip("/") or "/") if template != "/" else re.fullmatch("/", path)
    if found is None and path.endswith("/"):
        found = re.fullmatch(expression, path)
    return None if found is None else {key: urllib.parse.unquote(value) for key, value in found.groupdict().items()}


def request(record, service, operation, complain):
    shape, protocol = operation.input_shape, service.metadata["protocol"]
    path, _, query = record["uri"].partition("?")
    if record["method"] != operation.http["method"]:
        complain(f"{record['method']} in place of {operation.http['method']}")
    if protocol == "json":
        if record["headers"].get("x-amz-target") != f"{service.metadata['targetPrefix']}.{operation.name}":
            complain("x-amz-target is another operation's")
        return json_value(json.loads(record["body"]), shape, complain, "request")
    if protocol == "query":
        form = dict(urllib.parse.parse_qsl(record["body"], keep_blank_values=True))
        if form.pop("Version", None) != service.metadata["apiVersion"] or form.pop("Action", None) != operation.name:
            complain("Action or Version is another one")
        return json_value(form, shape, complain, "request")
    labels = uri_members(operation, path, record["service"] == "s3")
    if labels is None:
        return complain(f"{path} is not at {operation.http['requestUri']}")
    members = shape.members if shape else {}
    by_query = {member.serialization["name"]: key for key, member in members.items() if member.serialization.get("location") == "querystring"}
    by_header = {member.serialization["name"].lower(): key for key, member in members.items() if member.serialization.get("location") == "header"}
    prefixes = [(member.serialization["name"].lower(), key) for key, member in members.items() if member.serialization.get("location") == "headers"]
    fixed = dict(urllib.parse.parse_qsl(operation.http["requestUri"].partition("?")[2], keep_blank_values=True))
    present = {}
    for key, member in members.items():
        if member.serialization.get("location") == "uri":
            name = member.serialization["name"]
            if name in labels:
                present[key] = labels[name]
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if name in by_query:
            present[by_query[name]] = value
        elif name in fixed:
            if fixed[name] and fixed[name] != value:
                complain(f"the parameter {name} is {value!r} in place of {fixed[name]!r}")
        elif name != "x-id":
            complain(f"{name} is no parameter")
    asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    for name in fixed:
        if name not in asked and name != "x-id":
            complain(f"the parameter {name} is not there")
    for name, value in record["headers"].items():
        prefix = next((key for start, key in prefixes if name.startswith(start)), None)
        if name in by_header:
            present[by_header[name]] = value
        elif prefix:
            present[prefix] = None
        elif name.startswith("x-amz-checksum-") and (operation.http_checksum or operation.http_checksum_required):
            pass  # Which algorithm it is, the client may choose.
        elif not PLUMBING.match(name):
            complain(f"{name} is no header")
    if "content-type" in record["headers"] and "content-type" in by_header:
        present[by_header["content-type"]] = record["headers"]["content-type"]
    payload = operation.input_shape.serialization.get("payload") if shape else None
    if payload and members[payload].type_name == "structure":
        if record["body"]:
            present[payload] = None
            root = ElementTree.fromstring(record["body"])
            wanted = members[payload].serialization.get("name", members[payload].name)
            if plain(root.tag) != wanted:
                complain(f"the body is {plain(root.tag)} in place of {wanted}")
            space = members[payload].serialization.get("xmlNamespace", {}).get("uri")
            if space and not root.tag.startswith("{" + space + "}"):
                complain(f"the body is not of {space}")
            walk(root, members[payload], complain, payload)
    elif payload:
        present[payload] = None
    elif record["body"] and record["method"] == "GET":
        complain("a body with a GET")
    elif record["body"] and protocol == "rest-xml":
        root = ElementTree.fromstring(record["body"])
        wanted = shape.serialization.get("name", shape.name) if shape else None
        if plain(root.tag) != wanted:
            complain(f"the body is {plain(root.tag)} in place of {wanted}")
        walk(root, shape, complain, "request")
        present.update({key: None for key, member in members.items() if not member.serialization.get("location")})
    elif record["body"] and protocol == "rest-json":
        for key, value in json.loads(record["body"]).items():
            if key not in members or members[key].serialization.get("location"):
                complain(f"{key} is no member of the body")
            else:
                json_value(value, members[key], complain, key)
                present[key] = None
    for key, value in present.items():
        if value is not None and members[key].type_name not in ("blob", "timestamp", "map", "list", "structure"):
            scalar(members[key], value, complain, key)
    if shape:
        required(shape, present, complain, "request")


def answer(record, service, operation, complain):
    shape, protocol = operation.output_shape, service.metadata["protocol"]
    status, body = record["status"], (record["answer_body"] or "").encode()
    parser = botocore.parsers.create_parser(protocol)
    headers = botocore.awsrequest.HeadersDict(record["answer_headers"])
    response = {"status_code": status, "headers": headers, "body": body}
    # A copy and the end of an upload may answer 200 with an error for a body, which has the form of every other.
    if operation.name in ("CopyObject", "CompleteMultipartUpload") and plain(ElementTree.fromstring(body or b"<none/>").tag) == "Error":
        status = response["status_code"] = max(status, 400)
    if status >= 300:
        # What the edge does not know, it answers with 501 in S3's words.
        if body and status != 501:
            parsed = parser.parse(response, shape)
            if not parsed.get("Error", {}).get("Code"):
                complain(f"an error {status} without a code")
        return
    streams = shape is not None and shape.serialization.get("payload") and shape.members[shape.serialization["payload"]].type_name == "blob"
    if not streams:
        parser.parse(response, shape)
    if shape is None or protocol not in ("rest-xml", "rest-json"):
        return
    by_header = {member.serialization["name"].lower(): key for key, member in shape.members.items() if member.serialization.get("location") == "header"}
    prefixes = [member.serialization["name"].lower() for member in shape.members.values() if member.serialization.get("location") == "headers"]
    for name, value in record["answer_headers"].items():
        if name in by_header:
            member = shape.members[by_header[name]]
            if member.type_name not in ("timestamp", "map", "list"):
                scalar(member, value, complain, f"answer's {name}")
        elif not any(name.startswith(prefix) for prefix in prefixes) and not ANSWERED.match(name):
            complain(f"answer: {name} is no header")
    payload = shape.serialization.get("payload")
    inner = shape.members[payload] if payload else shape
    if protocol == "rest-json":
        content = json.loads(body or b"{}")
        for key, value in content.items():
            if key not in shape.members or shape.members[key].serialization.get("location"):
                complain(f"answer: {key} is no member")
            else:
                json_value(value, shape.members[key], complain, f"answer.{key}")
        headers = {by_header[name] for name in record["answer_headers"] if name in by_header}
        required(shape, headers | content.keys(), complain, "answer")
        return
    if body and inner.type_name == "structure":
        walk(ElementTree.fromstring(body), inner, complain, "answer")


def main(path):
    problems, counts = Problems(), collections.Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            name = record["operation"]
            # What this edge does not know: botocore would not be asked.
            if name == "Unknown":
                problems.add(record, f"{record['method']} {record['uri'].split('?')[0]} is no operation")
                continue
            service = SESSION.get_service_model(record["service"])
            if name not in service.operation_names:
                problems.add(record, "there is no such operation")
                continue
            operation = service.operation_model(name)
            counts[f"{record['service']} {name}"] += 1
            try:
                request(record, service, operation, lambda text: problems.add(record, text))
                # Of one that a script broke off, or a client did not wait for, nothing can be said.
                if not record.get("answer_broke_off"):
                    answer(record, service, operation, lambda text: problems.add(record, text))
            except (botocore.parsers.ResponseParserError, ElementTree.ParseError, ValueError) as error:
                problems.add(record, f"cannot be read: {error}")
    for name, count in sorted(counts.items()):
        print(f"{count:6} {name}")
    for text, count in sorted(problems.found.items()):
        print(f"problem ({count} times): {text}")
    print(f"{sum(counts.values())} requests of {len(counts)} operations against the models of botocore {botocore.__version__}")
    return 1 if problems.found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
