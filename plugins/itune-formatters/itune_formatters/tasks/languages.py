"""English names of languages, as task files have them, to the tags that records have."""

from __future__ import annotations

_TAGS = """
af Afrikaans|am Amharic|ar Arabic|as Assamese|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali|bs Bosnian
ca Catalan|cs Czech|cy Welsh|da Danish|de German|el Greek|en English|eo Esperanto|es Spanish|et Estonian|eu Basque
fa Persian|fi Finnish|fil Filipino|fr French|ga Irish|gl Galician|gu Gujarati|ha Hausa|he Hebrew|hi Hindi|hr Croatian
hu Hungarian|hy Armenian|id Indonesian|ig Igbo|is Icelandic|it Italian|ja Japanese|jv Javanese|ka Georgian|kk Kazakh
km Khmer|km Central Khmer|kn Kannada|ko Korean|ku Kurdish|lo Lao|lt Lithuanian|lv Latvian|mk Macedonian|ml Malayalam
mn Mongolian|mr Marathi|ms Malay|my Burmese|ne Nepali|nl Dutch|no Norwegian|or Oriya|pa Panjabi|pa Punjabi|pl Polish
ps Pashto|pt Portuguese|ro Romanian|ru Russian|sd Sindhi|si Sinhala|sk Slovak|sl Slovenian|so Somali|sq Albanian
sr Serbian|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|tl Tagalog|tr Turkish|uk Ukrainian|ur Urdu
uz Uzbek|vi Vietnamese|xh Xhosa|yo Yoruba|zh Chinese|zu Zulu
"""

TAGS = {
    name.casefold(): tag
    for tag, _, name in (entry.partition(" ") for line in _TAGS.split("\n") if line for entry in line.split("|"))
}
"""Name in lower case to BCP 47 tag."""


def tag(name: str) -> str:
    """The tag of the language with this English name; a name that is not known is its own tag."""
    return TAGS.get(name.strip().casefold(), name)
