"""What the monitors say: windows, alerts and what people record about them, read from Kafka."""
