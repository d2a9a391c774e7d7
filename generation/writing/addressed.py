"""Tells sentences in which a document speaks to the model instead of to its readers.

Such a sentence is no evidence for anything and is never cited, and neither is the rest of its
paragraph; an item of a list or a row of a table stands alone. It goes by words of a score of
languages: an instruction that avoids them is not seen here. It is the last of three nets: the
prompt marks documents as data, and what a model writes without support in the documents is not
passed off as cited.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from generation.writing.fencing import has_control_tokens, without_invisible
from rag.types import Chunk, Span

_FORGET = (
    r"ignor\w*|disregard\w*|forget|overrid\w*|overrule\w*|bypass|pay no attention|stop following|"
    r"vergiss|vergesst|vergessen sie|missachte\w*|übergeh\w*|oublie\w*|faites? abstraction|"
    r"olvid\w*|haz caso omiso|dimentic\w*|trascura\w*|esqueç\w*|esquec\w*|desconsider\w*|negeer\w*|"
    r"vergeet|zignoruj\w*|pomiń|zapomnij\w*|glöm|bortse|ignorér|glem|zapomeň\w*|uită|unut\w*|"
    r"yok say\w*|görmezden gel\w*|dikkate alma\w*|игнорир\w*|проигнорир\w*|забудь\w*|не обращай\w*|"
    r"ігнору\w*|проігнору\w*|забудьте|تجاهل\w*|انس|انسَ|לשכוח|שכח\w*|התעלמ\w*|התעלם|נא להתעלם|"
    r"अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल जा\w*|忽略|无视|無視|忘记|忘掉|忘れ|무시|잊어|잊고|abaikan|lupakan|"
    r"bỏ qua|αγνόησε|αγνοήστε|ignoruj\w*|figyelmen kívül"
)
_ORDERS = (
    r"instruct\w*|prompts?|guidelines?|directives?|rules?|commands?|orders?|anweisung\w*|vorgaben|"
    r"anordnung\w*|regeln|consignes?|règles?|instruccion\w*|reglas?|órdenes|istruzion\w*|regole|"
    r"instruç\w*|regras?|instructies?|regels?|aanwijzing\w*|instrukcj\w*|polece\w*|zasad\w*|"
    r"instruktion\w*|regler|pokyn\w*|instrucțiun\w*|talimat\w*|kural\w*|komut\w*|инструкц\w*|"
    r"указан\w*|правил\w*|інструкц\w*|вказів\w*|تعليمات\w*|التعليمات|الأوامر|القواعد|הוראות\w*|ההוראות|"
    r"ההנחיות|הנחיות|כללים|निर्देश\w*|नियम\w*|指令|指示|命令|规则|規則|說明|プロンプト|ルール|지시\w*|명령\w*|규칙\w*|"
    r"instruksi\w*|perintah\w*|hướng dẫn|chỉ thị|οδηγίες|οδηγιών|utasítás\w*"
)
_MACHINE = (
    r"AI|A\.I\.|KI|IA|LLMs?|language models?|chat ?bots?|GPT|assistants?|assistent\w*|asistent\w*|"
    r"assistente|asistente|assistant IA|modèle de langage|modelo de lenguaje|modello linguistico|"
    r"modelo de linguagem|taalmodel|sprachmodell\w*|model językowy|asystent\w*|språkmodell\w*|"
    r"yapay zek\w*|asistan\w*|ИИ|нейросет\w*|ассистент\w*|языков\w+ модел\w*|ШІ|асистент\w*|"
    r"мовн\w+ модел\w*|الذكاء الاصطناعي|المساعد|עוזר|בינה מלאכותית|מודל השפה|सहायक|एआई|人工智能|"
    r"助手|语言模型|アシスタント|言語モデル|인공지능|어시스턴트|언어 모델"
)
_ADDRESS = (
    r"(?:note|message|attention|reminder|memo|(?:instructions?|orders?) (?:for|to)|hinweis|"
    r"nachricht|achtung|anweisung|remarque|nota|mensaje|messaggio|mensagem|bericht|opmerking|uwaga|"
    r"wiadomość|meddelande|besked|mesaj\w*|dikkat|заметка|сообщение|внимание|увага|повідомлення|ملاحظة|رسالة|"
    rf"הערה|הודעה|सूचना|संदेश)[,:]?\s+(?:\w+['’]?\s*){{0,3}}?\w{{0,2}}(?:{_MACHINE})"
)
_SPEAKS_TO_A_MODEL = re.compile(
    rf"\b(?:{_FORGET})\b.{{0,80}}\b(?:{_ORDERS})\b|\b(?:{_ORDERS})\b.{{0,60}}\b(?:{_FORGET})\b|"
    rf"(?:忽略|无视|無視|忘记|忘掉|忘れ|무시|잊어|잊고).{{0,40}}(?:指令|指示|命令|规则|規則|说明|プロンプト|ルール|지시|명령|규칙)|"
    rf"(?:指令|指示|命令|规则|規則|说明|プロンプト|ルール|지시|명령|규칙).{{0,40}}(?:忽略|无视|無視|忘记|忘掉|忘れ|무시|잊어|잊고)|"
    rf"\b{_ADDRESS}\b|\b(?:dear|hey|hello|liebe|cher|querid[oa]|caro)\s+(?:{_MACHINE})\b|"
    rf"^\W*(?:{_MACHINE}|system|developer|人工智能|助手|アシスタント)\s*[:：,，、]|"
    rf"\b(?:if|as|when|wenn|falls|si|se|als|jeśli|если|якщо|eğer|إذا|אם|अगर|如果)\b.{{0,20}}"
    rf"\b(?:{_MACHINE})\b.{{0,60}}\b(?:read|reads|reading|process\w*|summari[sz]\w*|liest|lesen|lis|"
    rf"lee|leggi|lê|leest|czyta\w*|чита\w*|oku\w*|تقرأ|קורא\w*|पढ़\w*)\b|"
    r"\b(?:to|for) (?:whichever|whatever|any|every|all) (?:(?:AI|language) )?models?\b|"
    r"\b(?:AI|language) models? (?:reading|must|shall)\b|"
    r"\byou are (?:now|no longer) (?:an?|the|in|bound|DAN)\b|\bnew system instructions?\b",
    re.IGNORECASE,
)


_ITEM = re.compile(r"\s*(?:\||[-*+•]\s|\d{1,3}[.)]\s)")
_LATIN = re.compile("[A-Za-z]")
_LOOK_ALIKE = str.maketrans(
    "асеіјорѕухАВСЕІЈКМНОРЅТУХοаνΑΒΕΙΚΜΝΟΡΤΥΧ", "aceijopsyxABCEIJKMHOPSTYXoavABEIKMNOPTYX"
)


@lru_cache(maxsize=10_000)
def speaks_to_a_model(text: str) -> bool:
    """Whether something in `text` is plainly meant for a model that reads it."""
    if has_control_tokens(text):
        return True
    plain = unicodedata.normalize("NFKC", without_invisible(text)).replace("\n", " ")
    if _LATIN.search(plain) and not plain.isascii():
        words = (
            word.translate(_LOOK_ALIKE) if _LATIN.search(word) else word for word in plain.split()
        )
        plain = " ".join(words)
    return _SPEAKS_TO_A_MODEL.search(plain) is not None


def block_of(chunk: Chunk, sentence: Span) -> str:
    """The paragraph around a sentence, as far as it lies in the chunk; an item of a list alone."""
    start, end = sentence.start - chunk.start, sentence.end - chunk.start
    if _ITEM.match(chunk.text, chunk.text.rfind("\n", 0, start) + 1):
        return chunk.text[start:end]
    before = chunk.text.rfind("\n\n", 0, start)
    after = chunk.text.find("\n\n", end)
    return chunk.text[max(before, 0) : after if after >= 0 else len(chunk.text)]
