"""The join of predictions and labels by id: pure, in columns; `atalaia.state` keeps its rows."""
