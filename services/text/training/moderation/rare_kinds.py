"""Texts of kinds that the comments hardly hold: insults of groups, threats, and harmless talk about games.

Insults and threats are made by putting words of the word list, and threatening phrases, into real comments. Talk about
games says "kill" and "shoot" all day and means no harm; a filter that does not know that is useless there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from services.text.training.moderation.word_list import WordList

THREATS = (
    "i will {verb} you",
    "i'm going to {verb} you",
    "i am gonna find you and {verb} you",
    "someone should {verb} {whom}",
    "i hope you die",
    "i hope someone {verb}s {whom}",
    "you deserve to die",
    "go {verb} yourself",
    "i know where you live and i will {verb} you",
    "we are coming to {verb} {whom} and your family",
    "say that again and i {verb} you",
    "wait until i get my hands on you",
    "kill yourself",
    "kys",
    "you will regret this when i {verb} {whom}",
    "watch your back, i'll {verb} you",
)
THREAT_VERBS = ("kill", "shoot", "stab", "murder", "strangle", "beat", "hurt", "hang", "burn", "punch")
THREATENED = ("you", "him", "her", "them", "that guy", "the streamer", "your mother")
GAME_TALK = (
    "{verb} the {enemy} first, then the {other}",
    "i {past} {count} of them with the {weapon}",
    "the {enemy} will {verb} you in two hits, so dodge",
    "how do you {verb} the {enemy} on level {count}?",
    "we need to {verb} the {enemy} before the timer runs out",
    "nice {weapon} shot, you {past} the {enemy} from miles away",
    "that {weapon} one-shot {past} me, well played",
    "i got {past} by the {enemy} again lol",
    "{count} kills and no deaths, gg everyone",
    "headshot with the {weapon}! clean",
    "don't shoot the {other}, it explodes",
    "you have to die once to unlock the {enemy} fight",
    "the {enemy} is a beast, bring a {weapon}",
    "they nerfed the {weapon}, now it can't {verb} a {other}",
    "this boss is killing me, any tips for the {enemy}?",
    "the director kills it with this one",
    "the scene where the {enemy} gets {past} is brilliant",
    "my team died to the {enemy} because nobody had a {weapon}",
    "attack the {other}, i hit the {enemy} from behind",
    "blow up the {other} and take the {weapon}",
)
GAME_VERBS = (
    ("kill", "killed"),
    ("shoot", "shot"),
    ("destroy", "destroyed"),
    ("snipe", "sniped"),
    ("stab", "stabbed"),
    ("burn", "burned"),
    ("hit", "hit"),
    ("smash", "smashed"),
    ("nuke", "nuked"),
    ("execute", "executed"),
)
ENEMIES = (
    "boss",
    "dragon",
    "zombie",
    "enemy mage",
    "tank",
    "sniper",
    "healer",
    "goblin",
    "witch",
    "final boss",
    "turret",
    "demon",
    "bot",
    "giant spider",
    "alien queen",
    "pirate captain",
    "guard",
    "vampire",
)
WEAPONS = (
    "shotgun",
    "rocket launcher",
    "bow",
    "sniper rifle",
    "sword",
    "fireball",
    "crossbow",
    "grenade",
    "hammer",
    "axe",
)


def threats(comments: Sequence[str], count: int, generator: random.Random) -> list[str]:
    """Return threats, half of them after or before a real comment."""
    made = []
    for _ in range(count):
        threat = generator.choice(THREATS).format(
            verb=generator.choice(THREAT_VERBS), whom=generator.choice(THREATENED)
        )
        comment = generator.choice(comments)
        made.append(generator.choice([threat, threat, f"{comment} {threat}", f"{threat}. {comment}"]))
    return made


def group_insults(
    comments: Sequence[tuple[str, str]], words: WordList, count: int, generator: random.Random
) -> list[tuple[str, str]]:
    """Return (text, word): real offensive comments, given with their offensive word, that name a group instead."""
    insults = words.single_words({"racial", "lgbtq", "religious"}, 3)
    made = []
    for _ in range(count):
        comment, word = generator.choice(comments)
        insult = generator.choice(insults)
        start = comment.lower().find(word)
        made.append((comment[:start] + insult + comment[start + len(word) :], insult))
    return made


def game_talk(count: int, generator: random.Random) -> list[str]:
    """Return harmless lines about games that name weapons and killing."""
    made = []
    for _ in range(count):
        verb, past = generator.choice(GAME_VERBS)
        enemy, other = generator.sample(ENEMIES, 2)
        line = generator.choice(GAME_TALK)
        made.append(
            line.format(
                verb=verb,
                past=past,
                enemy=enemy,
                other=other,
                weapon=generator.choice(WEAPONS),
                count=generator.randint(2, 40),
            )
        )
    return made
