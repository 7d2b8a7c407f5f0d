"""A study as it is deposited: its logs, its dataframes as CSV, and two descriptions for machines.

`datapackage.json` is a Data Package (specs.frictionlessdata.io), `croissant.json` Croissant metadata (mlcommons.org);
both state each column with its type and meaning, each file with its digest, the licence and the versions.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from agentsim.analysis.frames.columns import TABLES
from agentsim.analysis.frames.study import Study
from agentsim.disk.whole_files import replace_whole
from agentsim.errors import AgentsimError
from agentsim.log.files import LOG_NAME, STUDY_NAME
from agentsim.log.version import VERSION

__all__ = ["DESCRIPTIONS", "Deposit", "files_of", "write_descriptions"]

DESCRIPTIONS: Final = ("datapackage.json", "croissant.json", "README.md")
SPDX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of Croissant 1.0, word for word."""


class Kind(NamedTuple):
    """What a column of a dataframe is called in the two descriptions."""

    table_schema: str
    croissant: str


KINDS: Final = {
    "string": Kind("string", "sc:Text"),
    "Int64": Kind("integer", "sc:Integer"),
    "Float64": Kind("number", "sc:Float"),
    "boolean": Kind("boolean", "sc:Boolean"),
}


class Deposit(NamedTuple):
    """What the authors of a study say of it."""

    licence: str
    """The SPDX identifier of the licence of the data, such as CC-BY-4.0."""
    creators: Sequence[str] = ()
    """Names of the people who made it."""

    @property
    def licence_url(self) -> str:
        """The address of the licence's text."""
        return f"https://spdx.org/licenses/{self.licence}.html"

    def check(self) -> None:
        """Refuse what is no identifier.

        Raises:
            AgentsimError: the licence is missing or no SPDX identifier.
        """
        if not SPDX.fullmatch(self.licence):
            raise AgentsimError(
                f"--licence {self.licence!r}: a deposit says under which licence others may use it; name one by its"
                " SPDX identifier, such as CC-BY-4.0 or CC0-1.0"
            )


def files_of(study: Study) -> dict[str, Path]:
    """Return the files of the study's folders that are deposited, by their path in the deposit: no locks, no caches."""
    found: dict[str, Path] = {}
    for name, folder in study.folders.items():
        runs = study.runs.loc[study.runs["study"] == name, "run"]
        paths = [
            folder / STUDY_NAME,
            *sorted(folder.glob("prompts-*.json")),
            *(folder / run / LOG_NAME for run in runs),
        ]
        found |= {f"logs/{name}/{path.relative_to(folder).as_posix()}": path for path in paths if path.is_file()}
    return found


def copy(source: Path, target: Path) -> None:
    """Copy a file of a study."""
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(target, lambda new: shutil.copyfile(source, new))


def write_descriptions(
    study: Study, folder: Path, *, tables: Mapping[str, str], logs: Sequence[str], of: Deposit
) -> None:
    """Describe the files that lie in `folder`: `tables` by the dataframe's name, and the study's own."""
    parts = _Parts(study, folder, tables=tables, logs=logs, of=of)
    texts = {
        "datapackage.json": json.dumps(parts.data_package(), indent=2, ensure_ascii=False) + "\n",
        "croissant.json": json.dumps(parts.croissant(), indent=2, ensure_ascii=False) + "\n",
        "README.md": parts.readme(),
    }
    for name, text in texts.items():
        replace_whole(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]


class _Parts:
    """What both descriptions say."""

    def __init__(
        self, study: Study, folder: Path, *, tables: Mapping[str, str], logs: Sequence[str], of: Deposit
    ) -> None:
        self._study, self._folder, self._tables, self._logs, self._of = study, folder, tables, logs, of
        starts = sorted(start.time for start in study.started.values())
        self._created = starts[-1] if starts else None
        """When the latest run began: the same deposit has the same bytes."""

    @property
    def _title(self) -> str:
        return f"Societies of agents: {self._study.name}"

    @property
    def _description(self) -> str:
        runs, models = self._study.runs, sorted(self._study.runs["model"].dropna().unique())
        complete = int((runs["status"] == "complete").sum())
        return (
            f"{len(runs)} runs of societies of agents played by agentsim, {complete} of them complete:"
            f" {', '.join(models)}. logs/ holds every prompt and reply as it was written, tables/ the dataframes"
            " made of them. A missing value was not logged and is never 0."
        )

    @property
    def _name(self) -> str:
        return re.sub(r"[^a-z0-9._-]+", "-", "-".join(self._study.folders).lower()).strip("-")

    def _versions(self) -> dict[str, list[str]]:
        """The versions of agentsim and other packages that played the runs."""
        found: dict[str, set[str]] = {}
        for start in self._study.started.values():
            for package, version in start.versions.items():
                found.setdefault(package, set()).add(version)
        return {package: sorted(versions) for package, versions in sorted(found.items())}

    def _columns(self, table: str) -> list[tuple[str, Kind, str, str]]:
        """Return each column with its kind, its unit and what it holds."""
        frame, declared = self._study.frame(table), TABLES[table]
        columns: list[tuple[str, Kind, str, str]] = []
        for name in map(str, frame.columns):
            column = declared.column(name)
            kind = KINDS.get(str(frame[name].dtype))
            if kind is None:
                is_time = isinstance(frame[name].dtype, pd.DatetimeTZDtype)
                kind = Kind("datetime", "sc:DateTime") if is_time else KINDS["string"]
            meaning = declared.others if column is None else column.meaning
            columns.append((name, kind, "" if column is None else column.unit, meaning))
        return columns

    def data_package(self) -> dict[str, Any]:
        licence = {"name": self._of.licence, "path": self._of.licence_url}
        resources: list[dict[str, Any]] = []
        for table, path in self._tables.items():
            fields = [
                {
                    "name": name,
                    "type": kind.table_schema,
                    **({"format": "any"} if kind.table_schema == "datetime" else {}),
                    **({"unit": unit} if unit else {}),
                    "description": meaning,
                }
                for name, kind, unit, meaning in self._columns(table)
            ]
            resources.append(
                {
                    "name": table,
                    "description": f"A row is {TABLES[table].row}.",
                    "type": "table",
                    "profile": "tabular-data-resource",
                    **self._file(path, "csv", "text/csv"),
                    "schema": {"fields": fields, "missingValues": [""]},
                }
            )
        for path in self._logs:
            is_log = path.endswith(".jsonl")
            kind = ("jsonl", "application/jsonl") if is_log else ("json", "application/json")
            name = re.sub(r"[^a-z0-9._-]+", "-", path.removesuffix(f".{kind[0]}").lower())
            resources.append({"name": name.replace("/", "-"), "type": "file", **self._file(path, *kind)})
        return {
            "$schema": "https://datapackage.org/profiles/1.0/datapackage.json",
            "profile": "data-package",
            "name": self._name,
            "title": self._title,
            "description": self._description,
            **({"created": self._created} if self._created else {}),
            "licenses": [licence],
            "contributors": [{"title": name, "role": "author"} for name in self._of.creators]
            or [{"title": f"agentsim {VERSION}", "role": "wrangler"}],
            "sources": [{"title": f"agentsim {VERSION}", "path": "https://github.com/agentsim-lab/agentsim"}],
            "versions": self._versions(),
            "resources": resources,
        }

    def _file(self, path: str, format: str, mediatype: str) -> dict[str, Any]:
        size, digest = self._measured(path)
        return {
            "path": path,
            "format": format,
            "mediatype": mediatype,
            "encoding": "utf-8",
            "bytes": size,
            "hash": f"sha256:{digest}",
        }

    def _measured(self, path: str) -> tuple[int, str]:
        with (self._folder / path).open("rb") as file:
            return (self._folder / path).stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()

    def croissant(self) -> dict[str, Any]:
        kinds = {".csv": "text/csv", ".jsonl": "application/jsonlines", ".json": "application/json"}
        distribution = []
        for path in (*self._tables.values(), *self._logs):
            size, digest = self._measured(path)
            distribution.append(
                {
                    "@type": "cr:FileObject",
                    "@id": path,
                    "name": path.rpartition("/")[2] if path.startswith("tables/") else path,
                    "contentUrl": path,
                    "contentSize": f"{size} B",
                    "encodingFormat": kinds[Path(path).suffix],
                    "sha256": digest,
                }
            )
        record_sets = [
            {
                "@type": "cr:RecordSet",
                "@id": table,
                "name": table,
                "description": f"A row is {TABLES[table].row}.",
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{table}/{name}",
                        "name": f"{table}/{name}",
                        "description": f"{meaning} ({unit})" if unit else meaning,
                        "dataType": kind.croissant,
                        "source": {"fileObject": {"@id": path}, "extract": {"column": name}},
                    }
                    for name, kind, unit, meaning in self._columns(table)
                ],
            }
            for table, path in self._tables.items()
        ]
        creators = [{"@type": "sc:Person", "name": name} for name in self._of.creators]
        published = datetime.fromisoformat(self._created).date().isoformat() if self._created else None
        return {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "name": self._name,
            "description": self._description,
            "license": self._of.licence_url,
            "url": "https://github.com/agentsim-lab/agentsim",
            "version": "1.0.0",
            **({"datePublished": published} if published else {}),
            "creator": creators or [{"@type": "sc:Organization", "name": f"agentsim {VERSION}"}],
            "citeAs": f"{', '.join(self._of.creators) or 'agentsim'}: {self._title}",
            "distribution": distribution,
            "recordSet": record_sets,
        }

    def readme(self) -> str:
        versions = "\n".join(f"- {package} {', '.join(each)}" for package, each in self._versions().items())
        rows = "\n".join(f"| `{path}` | a row is {TABLES[table].row} |" for table, path in self._tables.items())
        by = f"By {', '.join(self._of.creators)}. " if self._of.creators else ""
        return f"""# {self._title}

{self._description}

{by}Licence: [{self._of.licence}]({self._of.licence_url}).

| file | what it is |
|---|---|
| `datapackage.json` | for machines, what each file and column is: a Data Package |
| `croissant.json` | the same as Croissant metadata |
{rows}
| `logs/` | the studies as they were played; `agentsim replay logs/STUDY` computes them again |

Played with

{versions}
"""
