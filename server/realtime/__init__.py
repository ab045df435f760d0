"""OpenAI's Realtime API: a conversation by WebSocket whose answers a portrait speaks."""
