"""The signals of `complexity` that tell the kind of work: coding and research.

For the words of other languages see `signals`.
"""

from __future__ import annotations

import re

from llm_otel.routing.evidence import Evidence, Signal, any_of

# --- Coding -----------------------------------------------------------------------------------------------------------

_CODE_THINGS = (
    r"(?:functions?|scripts?|sql|quer(?:y|ies)|method|unit tests?|endpoint|one-?liner|snippet|middleware|algorithm"
    r"|parser|code|codebase|api|schema|workflow|cache|module|class)"
)

ASK_CODE = (
    Signal(
        shows=Evidence(name="code_ask", coding=2),
        pattern=re.compile(
            r"\b(?:write|implement|build|create|fix|debug|refactor|review|optimi[sz]e|port|design|add|convert|test)\b"
            rf"[^?!\n]{{0,60}}?\b{_CODE_THINGS}\b"
        ),
    ),
    Signal(
        shows=Evidence(name="language", coding=2),
        pattern=any_of(
            r"(?:in|with|using) (?:python|go|java|rust|react|c)|javascript|typescript|golang|sql|postgres(?:ql)?|bash",
            r"powershell|css|html|regex|dockerfile|terraform|kubernetes|django|fastapi|pytest|cuda|github actions",
        ),
    ),
    Signal(
        shows=Evidence(name="spreadsheet", coding=2),
        pattern=any_of(
            r"excel|google sheets|libreoffice calc|vlookup|xlookup|sumifs?|vba|(?:column|cell) [a-z]\d{0,4}"
        ),
    ),
    Signal(
        shows=Evidence(name="tool_or_framework", coding=2),
        pattern=any_of(
            r"node(?:js|\.js| \d\d)|npm|pip|vue|div|scrollbar|svelte|angular|next\.?js|flexbox|tailwind|webpack"
            r"|vite|jquery|pandas|numpy",
            r"systemd|crashloopbackoff|kubectl|k8s|ansible|makefile|awk|sed|grep|jq|chmod|zsh|kotlin|swiftui|php"
            r"|haskell",
            r"laravel|spring boot|pytorch|stack trace|segfault|git (?:rebase|merge|reset|log|push|pull|stash|checkout)",
        ),
    ),
    Signal(
        shows=Evidence(name="code_word", coding=1),
        most=2,
        pattern=any_of(
            r"code|python|java|rust|react|flask|express|docker|git|kafka|cron jobs?|webhooks?|monolith|postgres|node",
            r"databases?|endpoints?|middleware|syntax|one-?liner|one liner|heap|compil(?:e|es|er)",
            r"callback|async|await|mutex|repo|etl|upserts?|partition(?:s|ed)|foreign key|(?:last|my|this) commit"
            r"|latex|deploy(?:s|ment)?|mysql|sqlite|mongodb|redis|elasticsearch|nginx|ruby",
        ),
    ),
    Signal(shows=Evidence(name="data_format", coding=1), pattern=any_of(r"json|yaml|csv|xml|api|null")),
    Signal(
        shows=Evidence(name="file_name", coding=1),
        pattern=re.compile(
            r"\*\.\w{1,5}\b|(?<=[\w*])\.(?:py|jsx?|tsx?|go|rs|java|rb|php|sql|sh|tf|toml|ya?ml)\b|\bc\+\+|\bc#"
        ),
    ),
)
"""Code is asked for, or about."""

CODE = (
    Signal(shows=Evidence(name="code_fence", coding=1), pattern=re.compile(r"```|`[^`\n]{2,60}`")),
    Signal(
        shows=Evidence(name="traceback", coding=2),
        pattern=re.compile(
            r"traceback \(most recent|exception in thread|nullpointerexception|segmentation fault|\bpanic: "
            r"|(?<=[a-z])(?:error|exception): |\bat [\w.]{3,60}\(\w{1,40}\.\w{1,5}:\d"
        ),
    ),
    Signal(
        shows=Evidence(name="code_syntax", coding=2),
        pattern=re.compile(
            r"^\s{0,8}(?:def|class|func|fn|function) \w{1,40}[^\n]{0,60}[({:]"
            r"|^\s{0,8}(?:const|let|var|public|private) [^\n]{1,60}[=({;]"
            r"|^\s{0,8}(?:import \w|from [\w.]{1,40} import|#include|@\w{1,20}\.?\w{0,20}\()"
            r"|\bselect\b[^;]{1,80}\bfrom\s\w|^\s{0,8}(?:update \w{1,40} set|insert into)\b"
            r"|=> ?[{(\w]|\);\s{0,2}$|</\w{1,12}>|^for [^\n]{1,60}(?:; do$|\) \{)|\bprint\(",
            re.MULTILINE,
        ),
    ),
)
"""Code itself. Read in all that is scanned, for it is mostly the material."""

IDENTIFIERS = Signal(
    shows=Evidence(name="identifiers", coding=1),
    least=2,
    most=3,
    pattern=re.compile(
        r"\b[a-z][a-z0-9]{0,30}_[a-z0-9_]{1,40}\b|\b[a-z]\w{0,30}\.[a-z]\w{0,30}\(|(?<=\s)--?[a-z][a-z-]{1,30}\b"
        r"|(?<=\s)[~.]?/[\w./-]{3,60}|\bexit code \d{1,3}\b|^\w{2,20}: ?\w{0,20}(?:/v\d)?$",
        re.MULTILINE,
    ),
)
"""Names as programs have them. A form to be filled has such names as well, so they say nothing under a text task."""

# --- Research ---------------------------------------------------------------------------------------------------------

ASK_RESEARCH = (
    Signal(
        shows=Evidence(name="literature", research=2, difficulty=10),
        most=3,
        pattern=any_of(
            r"literatures?|(?:systematic|scoping) review|meta-?analys[ei]s|peer-reviewed|state[- ]of[- ]the[- ]art",
            r"(?:recent|published|key|annotated) (?:studies|papers|works|results|bibliography)",
            r"(?:papers|studies|trials) (?:on|about|show|say)|research (?:says?|landscape)|does research"
            r"|state of research",
            r"scientific consensus|deep[- ]dive|due diligence|case law|prior art|cochrane|rcts?|cohort (?:data|stud)",
            r"evidence (?:on|for|that|about|against)|what evidence|quality of evidence|empirical (?:support|evidence)",
            r"fact-?check|et al|(?:who|what) (?:are|is) the (?:main|major|key) (?:players|vendors|competitors|schools)",
            r"(?:cite|with|carries) (?:your |the |its )?(?:sources?|references|key)",
            r"(?:market|competitor) (?:overview|analysis)|(?:competitive|market|vendor|competitor) landscape"
            r"|history of (?:the )?\w{4,20}|research(?:er| agent)",
            stems=r"forschungsstand|belege für|belege gibt|preuves|studien|études|estudios|литератур"
            r"|revisión (?:de|bibliográfica)|revue de (?:la )?littérature|文献|先行研究",
        ),
    ),
    Signal(
        shows=Evidence(name="effect", research=2, difficulty=5),
        pattern=re.compile(
            r"(?<!how )(?<!why )(?<!who )\b(?:do|does) (?!(?:i|we|you|he|she|they|it|this|that|these|my|our|your"
            r"|the)\b)[\w' -]{3,40} (?:really |actually )?"
            r"(?:anything for|help|work|works|cause|prevent|affect|improve|reduce|increase|make (?:people"
            r"|children|us))\b"
        ),
    ),
    Signal(
        shows=Evidence(name="what_is_known", research=2, difficulty=10),
        pattern=any_of(
            r"does [^?.!\n]{3,60} (?:actually|really) \w{3,12}|(?:is it|it's) (?:actually|really) true that"
            r"|what do we (?:actually |really )?know",
            r"what(?:'s| is| are)? (?:still |actually |really )?(?:known|unknown) (?:about|on|of)"
            r"|state of (?!mind|emergency)\w",
            r"(?:taken|put) together (?:tell|show|say)|find out (?:who|what|how|whether|which)"
            r"|(?:who|what) will really",
            r"how (?:have|did|do) (?:other|different) (?:cities|countries|companies|states|people|schools|firms|teams)",
            r"(?:which|what) [a-z ]{0,24}\b(?:cities|countries|companies|firms|states|universities"
            r"|vendors|governments)",
            r"has any(?:one|body)?|(?:need|want) (?:numbers|data|figures|statistics) (?:on|about)"
            r"|(?:who|when|where) [^?.!\n]{3,60} really",
            r"out there (?:on|about)|track (?:it |this )?down|(?:briefing|report|dossier|backgrounder) (?:on|about)",
            r"who else|have others|how (?:effective|common|widespread|accurate) (?:is|are)|track record of",
            r"(?:effects?|impact) of [^?.!\n]{3,60} on|(?:link|relationship|correlation) between|what (?:works|worked)",
            r"(?:experts|economists|doctors|scholars|scientists|courts|regulators|analysts) (?:say|think|agree"
            r"|disagree)",
            r"where (?:does|did) the (?:claim|idea|myth|number|figure)|how is [^?.!\n]{3,40} regulated|as of 20\d\d",
            r"(?:latest|current|recent) (?:on|evidence|research|science|thinking|developments|guidance|numbers|state)",
        ),
    ),
    Signal(
        shows=Evidence(name="inquiry", research=1),
        most=2,
        pattern=any_of(
            r"investigate|survey|overview|look into|gather|collect|compile|known about|do we know|background on|dig up",
            r"synthesi[sz]e|bring together|common ground|across (?:the|these|them|all)|timeline of"
            r"|find (?:me )?(?:examples|cases)",
            r"what (?:these|they|each|the (?:sources|papers|documents)) (?:all )?(?:say|tell|show|claim)",
            r"researchers|historians|abstracts|studies|study|papers|findings|sources?|references?|evidence"
            r"|competitors|patents",
            r"trials?|cohort|guidelines|reports|archives?|registers?|census|chronicle|records|filings"
            r"|precedents?|statistics|vendors|suppliers",
            stems=r"quellen|исследовани|研究",
        ),
    ),
    Signal(
        shows=Evidence(name="reliability", research=1, difficulty=10),
        most=2,
        pattern=any_of(
            r"(?:do not|don't|do they|do we|where (?:do )?they|to what extent) (?:dis)?agree"
            r"|how (?:solid|reliable|sure|certain)",
            r"still (?:unknown|open)|what (?:fits|doesn't fit)|safely (?:print|say|claim)|hold(?:s)? up|how far can",
            r"myth|debunk\w{0,3}|trustworthy|credible|limitations"
            r"|(?:historians|scholars|they|people) (?:dis)?agree|debated?|who disagrees",
        ),
    ),
    Signal(
        shows=Evidence(name="research_method", research=1, difficulty=15),
        most=3,
        pattern=any_of(
            r"systematic|meta-?analysis|bias|heterogeneity|confound\w{2,4}|validity|replicat\w{1,4}|effect sizes?",
            r"conflict(?:s|ing)?|contradict\w{0,5}|hypotheses|critical(?:ly)?|gaps?|uncertain(?:ty|ties)?"
            r"|consensus|protocol",
            r"confidence|open (?:research )?(?:problems|questions)|methodolog\w{1,4}|identification strategies",
        ),
    ),
)
"""What is known is to be found, and brought together."""

SOURCES = Signal(
    shows=Evidence(name="pasted_sources", research=1, difficulty=15),
    least=3,
    most=3,
    pattern=re.compile(
        r"^[ \t]{0,4}(?:(?:abstract|article|document|excerpt|interview|paper|report|source|study"
        r"|transcript) [a-z\d]{1,2}\b"
        r"|\[\d{1,2}\] )|^[ \t]{0,4}(?:[-*•] "
        r"|\d{1,2}[.)] |\[\d{1,2}\] ?|\(\d\) )?[^\W\d][^:\n]{3,70}(?:\b(?:1[5-9]|20)\d\d\b)[^:\n]{0,40}:",
        re.MULTILINE,
    ),
)
"""Labelled and dated passages ("Town chronicle (1871): ..."): read in the whole text."""
