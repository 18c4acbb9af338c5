"""Where numbers and names in Latin letters stand in a text, each with its separators, its sign and its unit.

14.6パーセント, 一八九一年, 第３条, 10:30, ３時14分, 03-1234-5678, 二丁目３番, -20℃, 100 km/h, COVID-19, v1.2.3: each is
read as a whole.
Words of a segmenter are no help here: to it, 14 . 6 is three words. This module knows characters, and does not know
tokens.
"""

import re

import numpy as np

from app.text.characters import KANJI_NUMERALS
from app.types import BoolArray

# Counters as JumanDIC and common usage have them. Katakana right after a number always counts something; after a space
# it is often the next word (12:00 ランチ), so there only units count.
_COUNTERS = """
年間 年度 年生 年代 年目 年 か月間 ヶ月間 カ月間 箇月間 か月 ヶ月 カ月 ヵ月 ケ月 箇月 か年 カ年 ヶ年 箇年 月 週間 週
日間 日目 日 時間 時 分間 分 秒間 秒 世紀 世代 代 歳 才 期生 期 回生 回目 回 度目 度 倍 割 厘 か所 ヶ所 カ所 ヵ所 ケ所
箇所 か国語 か国 カ国 ヶ国 ヵ国 箇国 丁目 番地 番目 番線 番 号室 号線 号車 号 階建て 階 名様 人目 人 名 者 社 個 箇 つ
本 枚 冊 台 両 機 隻 艘 艇 匹 頭 羽 尾 杯 皿 膳 束 把 株 輪 粒 滴 錠 缶 箱 袋 包 通 件 点 品 種類 種 組 班 級 位 段 等
着 足 条 項 章 節 款 編 巻 話 幕 曲 首 句 頁 版 刷 部 票 口 戸 軒 棟 室 床 席 畳 坪 世帯 校 店 局 区 系統 系 型 形 式
試合 戦 勝 敗 連勝 連敗 打席 打数 打 球 周 往復 列 行 語 文字 字 角形 次 段階 発 丁 挺 基 門 輛 騎 体 柱 親等 単位
寸 尺 里 丈 間 升 合 石 斤 貫 匁 円 銭 文 元 余り 余 平方キロメートル 平方メートル 立方メートル 平方キロ 平米 立米 光年
"""
_KATAKANA_UNITS = (
    "(?:ミリ|センチ|デシ|キロ|メガ|ギガ|テラ|ナノ|マイクロ|ヘクト)?(?:メートル|グラム|リットル|トン|バイト|ビット|ワット|ボルト|アンペア"
    "|ヘルツ|パスカル|カロリー|ジュール|アール|ベル|ミクロン|マイル|ヤード|フィート|インチ|ポンド|オンス|ガロン|ノット|カラット|ダース"
    "|パーセント|ポイント|ページ|ドル|セント|ユーロ|ウォン|ルピー|ペソ|フラン)|ミリ|センチ|キロ|メガ|ギガ|テラ"
)
# After a space only words that are units and nothing else count.
_SI = "[kKMGTmμµndc]?(?:m[23²³]?|g|l|L|B|b|Hz|W|Wh|V|A|Ah|Pa|J|mol|cal|bps|dB|ppm|rpm|ha|s|min|h)"
_SIGNS = "%％﹪٪‰℃℉°º′″円¢￠µμΩ㋿㌀-㍗㍱-㏟"

# With fractions, Roman numerals and small raised or lowered digits: ¼, Ⅳ, m², H₂O.
_DIGIT = r"0-9\uff10-\uff19\u00b2\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u2182"
_LATIN = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\uff21-\uff3a\uff41-\uff5aΑ-ωА-я"
_MYRIADS = "十百千万億兆"
_D, _A, _K, _KATAKANA = f"[{_DIGIT}]", f"[{_DIGIT}{_LATIN}]", f"[{KANJI_NUMERALS}]", "[ァ-ヴーｦ-ﾟ\u3099\u309a]"

_HYPHEN = "[-‐‑–－−]"
_CLOCK = f"[:：]{_D}{_D}"  # the end of a time of day

_JOINED = (
    rf"(?<={_D})[,，:：×^＾](?={_D})"  # 3,000 and 10:30 and 1×10^5
    # 2024/5/1, but 10:00/13:00, 1,200/600 and 03-1234-5678/03-1234-5679 are two
    rf"|(?<={_D})(?<!{_CLOCK})(?<![,，]{_D}{_D}{_D})(?!(?<={_HYPHEN}{_D}{_D}{_D}{_D})[/／]{_D}+{_HYPHEN})[/／](?={_D})"
    rf"|[.．_@＠&＆'’+＋](?={_A})"  # 14.6 and v1.2 and a_b@example.com and R&B
    # COVID-19 and 03-1234-5678, but 10:00-17:00 and 4/1-4/30 are two
    rf"|(?<!{_CLOCK})(?!(?:(?<=[/／]{_D})|(?<=[/／]{_D}{_D})){_HYPHEN}{_D}{{1,4}}[/／]{_D}){_HYPHEN}(?={_A})"
    rf"|[/／](?=[{_LATIN}]{{1,3}}(?!{_A}))"  # km/h
)
_ALL_COUNTERS = sorted(_COUNTERS.split(), key=len, reverse=True)
_COUNTER = f"(?=[{''.join({counter[0] for counter in _ALL_COUNTERS})}])(?:{'|'.join(_ALL_COUNTERS)})"
_UNIT = (
    rf"(?:[{_SIGNS}]|{_COUNTER}|{_KATAKANA}+"
    rf"|[ \u3000](?:[{_SIGNS}]|{_COUNTER}(?![一-鿿])|(?:{_KATAKANA_UNITS})(?!{_KATAKANA})"
    rf"|{_SI}(?:[/／][{_LATIN}]{{1,3}})?(?![{_DIGIT}{_LATIN}{_SIGNS}])))"
)
_SIGN = rf"第[ \u3000]?|[$＄¥￥€£№〒㍻-㍾㋿]|(?<![{_DIGIT}{_LATIN}年月日時分])[+＋\-－−±▲△]"
_NUMBER = re.compile(
    rf"(?=[{_DIGIT}{_LATIN}第$＄¥￥€£№〒㍻-㍾㋿+＋\-－−±▲△])(?<!{_A})(?:{_SIGN})?{_A}++(?:(?:{_JOINED}){_A}++)*+"
    rf"(?:(?<={_D})[{_MYRIADS}]++(?:{_D}{_A}*+(?:(?:{_JOINED}){_A}++)*+)?)*+(?:(?<=[{_DIGIT}{_MYRIADS}])(?:[{_SIGNS}]|(?<!{_CLOCK})[数余]?{_UNIT}))?"
    rf"|[第数何幾]?(?P<kanji>{_K})(?:{_K}++)?(?:[・．]{_K}++)?(?:分の{_K}++)?(?:[数余](?={_COUNTER}))?"
    rf"(?:{_COUNTER}|(?<![一-鿿][{KANJI_NUMERALS}]){_KATAKANA}+)?"
)

# With a number in brackets before its unit, and telephone numbers with their area code in brackets.
_AMOUNT = rf"{_D}(?:[,，.．]?{_D})*+"
_BRACKETED = re.compile(
    rf"(?<!{_D})(?<!{_D}[,，.．]){_AMOUNT}[（(](?:明治|大正|昭和|平成|令和|[MTSHRＭＴＳＨＲ])?(?:{_AMOUNT}|元)[)）]{_UNIT}"
    rf"|[（(][0０]{_D}{{1,4}}[)）][ \u3000]?{_D}{{1,4}}{_HYPHEN}?{_D}{{3,4}}"
    rf"|[0０]{_D}{{1,4}}[（(]{_D}{{1,4}}[)）]{_D}{{3,4}}"
)

# Amounts in two units, fractions, and addresses: half of one is another time, another share or another house.
_N, _HALF = f"(?:{_D}++|{_K}++)", "半(?![額ば期])"
_WHOLE = re.compile(
    rf"(?<!{_D}){_D}++(?<!時{_D})(?<!時{_D}{_D})分の{_D}++"
    rf"|(?<![{_DIGIT}{KANJI_NUMERALS}]){_N}(?:時間?(?:{_N}分(?:{_N}秒)?|{_HALF})|分{_N}秒|(?:年|[かヶカヵケ箇]月){_HALF}|[かヶカヵケ箇]月{_N}日"
    rf"|年{_N}[かヶカヵケ箇]月|丁目{_N}(?:番地?(?:の?{_N})?号?)?(?:{_HYPHEN}{_D}++)*+)"
    rf"|[大小]さじ[ \u3000]?{_D}++(?:[/／.．]{_D}++)?"
    rf"|[（(]?[〇零][一二三四五六七八九〇]{{1,4}}[)）―－‐-][一二三四五六七八九〇]{{1,4}}[―－‐-][一二三四五六七八九〇]{{3,4}}"
)

_MINUS = re.compile("[-－−]")
_TELEPHONE = re.compile(rf"(?:tel|fax|ＴＥＬ|ＦＡＸ)[.．]?(?={_D})", re.IGNORECASE)


def inside_numbers(text: str, word_starts: BoolArray) -> BoolArray:
    """Whether a place lies inside a number, so that cutting there would take it apart. (characters + 1,)

    Args:
        word_starts: true for the places at which a word begins; (characters + 1,). A numeral in kanji that is no
            beginning of a word, as in 統一, is no number.
    """
    inside = np.zeros(len(text) + 1, dtype=np.bool_)
    end = 0
    for match in _NUMBER.finditer(text):
        previous = end
        start, end = match.span()
        if start == previous > 0 and _MINUS.match(text, start):  # 1,000円-3,000円 is a range
            start += 1
        elif (label := _TELEPHONE.match(text, start, end)) is not None:  # TEL03-1234-5678: the label is a word
            inside[start + 1 : label.end()] = True
            start = label.end()
            inside[start] = False
        if end - start > 1 and ((kanji := match.start("kanji")) < 0 or word_starts[kanji]):
            inside[start + 1 : end] = True
    for match in _BRACKETED.finditer(text):  # 2003（平成15）年, 1,200（1,000）円, （0277）76-2111
        inside[match.start() + 1 : match.end()] = True
    for match in _WHOLE.finditer(text):  # ３時14分, 2分の1, 大さじ２, 三丁目８番
        inside[match.start() + 1 : match.end()] = True
    return inside
