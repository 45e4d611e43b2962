"""What can be said about pictures and clips, and by which models."""

from __future__ import annotations

from typing import TypeAlias

from marquee.entertainment.v1 import media_service_pb2 as pb

Feature: TypeAlias = pb.MediaFeature.ValueType

LABELS = pb.MEDIA_FEATURE_LABELS
OBJECTS = pb.MEDIA_FEATURE_OBJECTS
FACES = pb.MEDIA_FEATURE_FACES
SAFETY = pb.MEDIA_FEATURE_SAFETY
EVENTS = pb.MEDIA_FEATURE_EVENTS
HIGHLIGHTS = pb.MEDIA_FEATURE_HIGHLIGHTS
SCENE_CUTS = pb.MEDIA_FEATURE_SCENE_CUTS
SIMILAR = pb.MEDIA_FEATURE_SIMILAR_ITEMS
GAME = pb.MEDIA_FEATURE_GAME

PICTURE_FEATURES = frozenset({LABELS, OBJECTS, FACES, SAFETY, SIMILAR, GAME})
CLIP_FEATURES = PICTURE_FEATURES | {EVENTS, HIGHLIGHTS, SCENE_CUTS}

GAME_MODEL = "vit-atari-games"
"""Names the game of a screenshot."""
