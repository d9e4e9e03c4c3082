"""The signals of `complexity` that make a task easy or hard; `kinds` has those of coding and of research.

Words are English, with a few stems of other languages where a word decides; numbers, question marks, lists and length
are the same in each. Words and weights were chosen on the `tune` half of benchmarks/routing_prompts.toml and on
routing_prompts_blind.toml; docs/routing-quality.md says how well they do on prompts that nobody saw who chose them.
"""

from __future__ import annotations

import re

from llm_otel.routing.evidence import Evidence, Signal, any_of, order_to

# --- Ease: counts where nothing speaks against it ---------------------------------------------------------------------

_EXACT_THINGS = (
    r"(?:names?|dates?|numbers?|amounts?|prices?|e-?mails?|addresses|urls?|links|keywords|totals?|duplicates?)"
)

_INTO_LANGUAGE = (
    r"(?:(?:and|now|put|say|same|the same|this|that|it|these|them|thing) ){0,3}(?:in|into|to) (?:arabic|chinese|dutch"
    r"|english|french|german|greek|hindi|italian|japanese|korean|latin|polish|portuguese|russian|spanish|swedish"
    r"|turkish)"
)

TEXT_TASKS = (
    Signal(
        shows=Evidence(name="classify"),
        pattern=order_to(
            r"classify|categori[sz]e|label|tag|detect",
            r"(?:decide|say) (?:whether|if) (?:the|this|an?)",
            r"(?:sort|route|triage|filter|moderate|judge|grade|rate) (?:the |incoming |each |an? )?"
            r"[\w ]{0,24}(?:answers?|comments?|e-?mails?|enquiries|feedback|messages?|posts?|reviews?|tickets?)",
            r"(?:is|does) (?:this|the following) (?:spam|text|message|review|e-?mail|sentence|customer)",
            r"which of (?:these|the following) (?:labels|categories|classes)|(?:what|which) language is",
            r"(?:which|what) (?:category|department|intent|label|queue)"
            r"|(?:assign|map|match) [^.?!\n]{1,60} to (?:one|its|a)",
            r"(?:sentiment|intent|topic|language|toxicity) (?:of|detection|analysis|classification)",
            r"are (?:an?|the) [\w -]{0,40}(?:classifier|detector|extractor|filter|matcher|router|tagger|translator)",
        ),
    ),
    Signal(
        shows=Evidence(name="extract"),
        pattern=order_to(
            r"extract|return the json|normali[sz]e|parse",
            r"(?:read|return|turn|put)[^.?!\n]{1,80} as (?:an? )?json",
            r"(?:find|list|pull(?: out)?|pick out|get|return|give me|remove) (?:all|every|the|any)\s"
            rf"(?:[^.?!\n]{{0,20}}\s)?{_EXACT_THINGS}",
        ),
    ),
    Signal(
        shows=Evidence(name="translate"),
        pattern=order_to(
            r"translate(?! (?:the|this) (?:argument|code|function|problem|query|requirements?|script))",
            r"how do you say",
            _INTO_LANGUAGE,
            stems=r"übersetz|tradui[st]|traduc[ei]|traduzir|перевед|翻[译訳譯]|英語に|日本語に|译成",
        ),
    ),
    Signal(
        shows=Evidence(name="name_or_rephrase"),
        pattern=order_to(
            r"name (?:the )?(?:conversations?|files?|chats?)|(?:re)?write (?:the|this|a)[^.?!\n]{0,30} as (?:an?|one)",
            r"(?:write|give|generate|suggest) (?:one|an?) (?:short )?(?:title|subject line|slug|alt text|caption)",
        ),
    ),
    Signal(
        shows=Evidence(name="tidy_text"),
        pattern=order_to(
            r"(?:fix|correct|check)[^.?!\n]{0,20} (?:typos?|spelling|grammar|punctuation)",
            r"(?:make|put|turn|rewrite|convert|sort|format)[^?!\n]{0,60}"
            r"(?:(?:past|present|future) tense|passive|plural|third person|upper ?case|lower ?case|title case"
            r"|alphabetical|comma-separated|yyyy)",
            r"spell out|capitali[sz]e|alphabeti[sz]e|proofread|shorten (?:this |it )?to",
        ),
    ),
)
"""What is done to a text in one step, whatever its length. The text is material: what it says is not asked."""

SHORT_ANSWER = Signal(
    shows=Evidence(name="short_answer"),
    pattern=any_of(
        r"yes or no|true or false|(?:one|a single) word|nothing else",
        r"(?:answer|label|name|number|query|title|translation|word) only",
        r"(?:answer|output|reply|respond|return)(?: with)? (?:only|exactly|just) (?:one|the|a|its|yes|no)",
        r"(?:answer|output|reply|respond|return)(?: with)? (?:yes|no|one of|one word)",
        r"(?:answer|output|reply|respond|return) (?:with )?(?:an?|its|one|the) (?:\w{1,12} )?"
        r"(?:category|code|date|id|intent|label|letter|name|number|title|word)",
    ),
)
"""The answer is wanted in a word. What it takes to find it may still be hard."""

SHORT_LOOKUP = Signal(
    shows=Evidence(name="short_lookup"),
    pattern=order_to(
        r"(?:what|who|which|where)(?:'?s| of (?:these|the following)| is| are| was| were| does| time| year| day"
        r"| country| continent)",
        r"(?:when|who|where) \w{1,12}",
        r"how (?:many|much|old|far|tall|high|big)",
        r"define|convert \d{1,9}|give me a synonym|tell me (?:what|who|when|where)",
        r"is [\w ]{1,20} an? [\w ]{1,20}|when'?s|days between|how do (?:you|i) (?:spell|pronounce|say)",
        r"(?:the )?(?:abbreviation|area code|author|boiling point|capital|currency|date|height|opposite|plural"
        r"|population"
        r"|postcode|symbol|synonyms?|time|zip code) (?:of|for|in)",
        r"\d[\d.,]{0,8} ?[^\W\d]{1,12} (?:in|to|into) [^\W\d]{1,12}$",
        r"(?:wie (?:lautet|heißt|viele?|hoch|alt)|wann|wo|wer) (?:ist|sind|war|die|der|das|hat|kilometer|meter"
        r"|einwohner)",
        r"(?:quel(?:le)? est|qui (?:est|a)|où est|combien|cu[aá]l es|qui[eé]n|d[oó]nde|cu[aá]ntos|qual è|chi è|quanti)",
    ),
)
"""A question for a fact; read in short messages only."""

THANKS = any_of(r"thanks|thank you|thx|cheers|works now|danke|merci|gracias")
"""Thanks within a short message that asks for nothing further: see `ASKS`."""

ASKS = re.compile(r"[?\uff1f\u061f]|\b(?:but|now|please|can|could|how|what|why|write|make|also|then)\b(?<!works now)")
"""A sign that something is asked, or added."""

SHORT_CODE = Signal(
    shows=Evidence(name="short_code"),
    pattern=any_of(
        r"one-?liner|regex|syntax error|add a docstring|json to yaml|yaml to json|count the rows",
        r"rename the (?:variable|function|column)",
        r"what does `|difference between `?\w{1,20}`? and",
        r"how (?:do|can) i (?:sort|get|find|reverse|read|print|check|join|split|count)",
    ),
)
"""A few characters of code, or a fact of a language; read in short messages only."""

PLEASANTRY = re.compile(
    r"(?:^|(?<=[.!?]\s))"
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|i hope|sorry|(?:many )?thanks|thank you|okay|ok|bye)"
    r"\b[^.!?:\n]{0,160}(?:[.!:]\s?|$)",
    re.MULTILINE,
)
"""A sentence that asks for nothing."""

# --- Quantities: counted together, see `complexity` -------------------------------------------------------------------

QUANTITY = re.compile(
    r"(?<![\w.,/])[$€£]?\d[\d.,:]{0,8}(?:k|m|%|h|s|ms|kg|km)?\b"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|fifty|hundred|thousand|dozen)\b"
)
"""A number in digits or words, with its unit where that is a letter or two."""

RELATION = any_of(
    r"each|every|per|than|twice|half|double|times as|as (?:many|much|old|long) as|exactly|both|either|neither"
    r"|same|adjacent",
    r"different|in a row|next to|outside|inside|must|may (?:not|only)|cannot|can't|darf|muss|mindestens|nicht|jede\w?",
    r"more|fewer|less|together|altogether|left|remain(?:s|ing)?|rest|opposite|between|after|before|whoever|nobody",
    r"everyone|all of them|only one|one of (?:them|which|whom)|if|unless|already|at least|at most|randomly|another",
)
"""What puts quantities or things in relation, as puzzles do."""

QUESTION = re.compile(
    r"[?\uff1f\u061f]|\b(?:how (?:many|much|long|old|far)|what|which|who|when|whether|find|determine)\b"
)
"""Something is asked for."""

# --- Difficulty -------------------------------------------------------------------------------------------------------

STRONG = (
    Signal(
        shows=Evidence(name="proof", difficulty=25),
        pattern=any_of(
            r"(?:dis)?prove|proof|derive|refute|rigorous(?:ly)?|show (?:that|why)|counter-?(?:example|argument)s?",
            r"argue (?:both|why|that)|fallac(?:y|ious)|premises?|generali[sz]e (?:it|this|to)|find the flaw"
            r"|for (?:any|every|all) n",
            stems=r"beweis|zeigen? sie,? dass|zeige,? dass|gegenbeispiel|montrer? que|mostrar que|доказ|démontre"
            r"|demuestr|dimostra|証明|证明",
        ),
    ),
    Signal(
        shows=Evidence(name="steps_shown", difficulty=25),
        pattern=any_of(
            r"step by step|think (?:carefully|hard)|(?:show|explain) (?:your|every|each|all) (?:reasoning|work|steps?)"
        ),
    ),
    Signal(
        shows=Evidence(name="mathematics", difficulty=25),
        pattern=re.compile(
            r"[∫∑∏√∀∃∈∞≤≥≡]|\\frac|\b\w\^\{?\d"
            r"|\b(?:theorem|eigenvalues?|integrals?|differential equation|matrix|markov|congruent|modulo|integers?"
            r"|probability|variance|polynomial|derivative|a/b tests?|p-values?|standard deviation)\b"
        ),
    ),
    Signal(
        shows=Evidence(name="puzzle", difficulty=25),
        pattern=any_of(
            r"how many ways|is it (?:im)?possible|does it follow|how long until|expected (?:number|value)",
            r"fair (?:coin|die|dice)|always (?:lies?|tells?)|at random|(?:what are|what's) the (?:odds|chances?)"
            r"|weighings",
        ),
    ),
    Signal(
        shows=Evidence(name="diagnosis", difficulty=25),
        pattern=any_of(r"root[- ]causes?|diagnos[ei]\w{0,3}|post-?mortem"),
    ),
)
"""One of these makes a task complex."""

REASONING_VERB = Signal(
    shows=Evidence(name="reasoning_verb", difficulty=10),
    most=4,
    pattern=any_of(
        r"weigh|evaluate|assess|analy[sz]e|critique|justify|reconcile|recommend|determine|solve|trace|argue|discuss",
        r"optimi[sz]e|propose|identify|work out|figure out|model the|decide (?:which|between)|rank|prioriti[sz]e",
    ),
)

WEIGHING_WORDS = Signal(
    shows=Evidence(name="weighing_words", difficulty=10),
    most=4,
    pattern=any_of(
        r"trade-?offs?|scenarios?|assumptions?|hypothes[ei]s|risks?|consequences?|second-order|constraints?|optimal",
        r"strateg(?:y|ies)|objections?|alternatives|significant|consistent with|what would (?:happen|change)|pilot",
    ),
)

PLANNING = Signal(
    shows=Evidence(name="planning", difficulty=15),
    pattern=any_of(
        r"(?:design|develop|build|propose|draft) an? [\w -]{0,30}"
        r"(?:plan|strategy|model|schedule|roadmap|policy|architecture|api|schema)",
        r"design the|plan how|migrat(?:e|ion)|negotiat\w{1,5}|roll ?(?:out|back)|schedule \d{1,4}",
    ),
)

DELIBERATION = Signal(
    shows=Evidence(name="deliberation", difficulty=10),
    most=2,
    pattern=any_of(
        r"(?:should|shall|would) (?:i|we|they|he|she|one|you (?:do|go|start|handle|change|choose|structure))|or should",
        r"how (?:would|do|should) (?:we|you)|what would|worth (?:it|the|doing)|walk me through|talk me (?:through|out)",
        r"where (?:do|should|would) (?:i|we) (?:look|start)|(?:what|which|in what) order|make the case|trade away",
        r"whether to|think (?:this |it )?through|help (?:me|us) (?:decide|choose|think)|both sides|what could go wrong",
        r"who does what|an? (?:realistic|honest|sober) \w{3,10}|or (?:stay|wait|keep|leave it|hold off)",
        r"or not|where (?:it|this|that) fails|push back|best (?:way|move|option)|what (?:do|should) (?:i|we)"
        r"|what if|how far can|which one (?:is it|would)",
        stems=r"soll(?:en|te)n? wir|soll(?:te)? ich|spricht (?:für|wofür|gegen|dafür)|devri?ons-nous|deberíamos"
        r"|conviene",
    ),
)

PLAN_WANTED = Signal(
    shows=Evidence(name="plan_wanted", difficulty=10),
    pattern=any_of(
        r"(?:weekly|daily|day|training|study|meal|project|seating|travel|action|savings?) plan|itinerary"
        r"|timetable|rota",
        r"plan (?:for|my|our|that|the)|make (?:me )?a plan"
        r"|(?:come up with|need|want) a (?:plan|system|routine|schedule)",
        stems=r"planen|reihenfolge|konzept für|calendrier|planning|planificar",
    ),
)

COMPOSITION = Signal(
    shows=Evidence(name="composition"),
    pattern=order_to(
        r"answer (?:the )?(?:[a-z']{2,12} )?questions?|write|draft|create|compose|suggest|describe|plan"
        r"|summari[sz]e|help me|tell me a|give feedback|make an?"
    ),
)

DEMANDS = (REASONING_VERB, WEIGHING_WORDS, PLANNING)
"""What makes a job hard where a system prompt gives it; its other words are of style ("explain step by step")."""

WEAK = (
    REASONING_VERB,
    WEIGHING_WORDS,
    PLANNING,
    DELIBERATION,
    PLAN_WANTED,
    Signal(
        shows=Evidence(name="long_answer", difficulty=10),
        pattern=any_of(
            r"\d{1,2} pages|\d[,.]?\d{3} words|in (?:great )?detail|detailed|comprehensive|thorough(?:ly)?|memo"
            r"|white ?paper",
        ),
    ),
    Signal(
        shows=Evidence(name="expert_field", difficulty=10),
        most=3,
        pattern=any_of(
            r"enforceab\w{2,5}|liabilit(?:y|ies)|statut(?:e|es|ory)|gdpr|common law|legal basis|court|jurisdictions?",
            r"patient|differential|contraindications?|dosage|mg(?:/dl)?",
            r"valuation|margins?|churn|exchange rates?|inflation",
        ),
    ),
    Signal(
        shows=Evidence(name="hard_engineering", difficulty=15),
        most=3,
        pattern=any_of(
            r"lock-free|thread-?safe|deadlocks?|race conditions?|concurren(?:t|cy)|distributed|shard(?:s|ed|ing)",
            r"evict\w{2,3}|locks?|locking|oom\w{0,6}|in flight|throughput|latency|p9\d|starvation|heap|without taking",
            r"backwards?[- ]compatib\w{2,5}|(?:eventual(?:ly)?|strong(?:ly)?) consisten\w{1,2}|zero[- ]downtime"
            r"|invariants?",
            r"idempoten\w{1,3}|isolation level|exactly-once|memory (?:leaks?|model|layout|coalescing)|leaks?",
            r"vulnerabilit(?:y|ies)|injection|kernel|compiler|parser|b-tree|downtime|failure modes?",
            r"property tests?|monolith",
        ),
    ),
    Signal(
        shows=Evidence(name="conditions", difficulty=5),
        most=3,
        pattern=any_of(r"at (?:most|least)|(?:no more|fewer|less) than|without|unless|subject to|so that|only if|must"),
    ),
    Signal(
        shows=Evidence(name="comparison", difficulty=5),
        pattern=any_of(r"compar(?:e|ed|ison)|differences?|(?:dis)?advantages?|pros and cons|better|best|should|versus"),
    ),
    Signal(
        shows=Evidence(name="explanation", difficulty=5),
        pattern=any_of(
            r"why|explain|how (?:does|do|did|can|could|come)",
            stems=r"warum|weshalb|pourquoi|por qué|perché|почему|なぜ|为什么",
        ),
    ),
    COMPOSITION,
)
"""Several of these do; one is enough to say that a task is not simple."""

_ASKS_ON = (
    r"(?:what|why|how|which|where|when|who|was|warum|wie|welche\w?|wo|wann|wer|que|quoi|pourquoi|comment|cómo|qué)"
)

BULK = (
    Signal(
        shows=Evidence(name="many_numbers", difficulty=5, forbids_simple=False),
        least=6,
        most=7,
        pattern=re.compile(r"(?<![\d.,])\d[\d.,]{0,8}"),
    ),
    Signal(
        shows=Evidence(name="many_questions", difficulty=10, forbids_simple=False),
        least=3,
        most=3,
        pattern=re.compile(r"(?<=[?\uff1f\u061f])"),
    ),
    Signal(
        shows=Evidence(name="several_questions", difficulty=10, forbids_simple=False),
        pattern=re.compile(
            rf"(?:[,;?]|\b(?:and|und|et|y|e)) {_ASKS_ON}\b[^.!\n]{{1,160}}?(?:[,;?]|\b(?:and|und|et|y|e)) {_ASKS_ON}\b"
        ),
    ),
    Signal(
        shows=Evidence(name="several_orders", difficulty=10, forbids_simple=False),
        least=3,
        most=3,
        pattern=any_of(
            r"compare|contrast|explain|outline|summari[sz]e|rank|survey|identify|assess|evaluate|propose"
            r"|recommend|plan",
            r"justify|estimate|calculate|describe|list|cite|flag|discuss|review|suggest|map|trace|draft|test|measure",
        ),
    ),
    Signal(
        shows=Evidence(name="limits", difficulty=5, forbids_simple=False),
        least=2,
        most=5,
        pattern=any_of(
            r"max(?:imum)?|min(?:imum)?|only|each|every|can't|cannot|can not|won't|(?:is|are) not|isn'?t"
            r"|not allowed|except",
            r"has to|have to|needs? to|before|until|never|either|neither|exactly|allergic|afford|budget|deadline"
            r"|within",
            r"between|per (?:day|week|month|year)|no [a-z]{3,12}",
        ),
    ),
    Signal(
        shows=Evidence(name="many_items", difficulty=5, forbids_simple=False),
        least=3,
        most=3,
        pattern=re.compile(r"^\s{0,4}(?:[-*•]|\d{1,2}[.)]|[a-z]\))\s[^\n]{0,20}", re.MULTILINE),
    ),
)
"""How much there is; the same in every language (question marks: Latin, Chinese and Japanese, Arabic)."""
