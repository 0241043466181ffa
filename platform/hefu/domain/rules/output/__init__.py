"""The output gate 产出结果合规 (K7, K12; white paper A, 3.7; white paper B, 3.2): what every result passes before it leaves."""
