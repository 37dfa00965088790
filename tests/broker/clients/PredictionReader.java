// Reads `predictions` knowing nothing but a broker and the AsyncAPI document: address, members and types come from
// there. Holds every message against it, and prints those whose id begins with PREFIX, a line of JSON each, until COUNT
// of them came: partition, offset, key, and the members the document promises.
//
// java -cp 'JARS/*' PredictionReader.java BOOTSTRAP ASYNCAPI.json PREFIX COUNT SECONDS

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class PredictionReader {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        JsonNode document = JSON.readTree(Path.of(arguments[1]).toFile());
        JsonNode channel = document.at("/channels/predictions");
        JsonNode message = resolve(document, channel.at("/messages").elements().next());
        JsonNode payload = resolve(document, message.get("payload"));
        String topic = channel.get("address").asText();
        int partitions = channel.at("/bindings/kafka/partitions").asInt();
        int count = Integer.parseInt(arguments[3]);
        long until = System.nanoTime() + Duration.ofSeconds(Long.parseLong(arguments[4])).toNanos();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings(arguments[0]))) {
            if (consumer.partitionsFor(topic).size() != partitions) {
                throw new IllegalStateException(topic + " has other partitions than the document says");
            }
            var places = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition())).collect(Collectors.toList());
            consumer.assign(places);
            consumer.seekToBeginning(places);
            while (count > 0 && System.nanoTime() < until) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    ObjectNode line = told(document, payload, record);
                    if (line.path("id").asText().startsWith(arguments[2])) {
                        System.out.println(JSON.writeValueAsString(line));
                        count--;
                    }
                }
            }
        }
        System.exit(count > 0 ? 1 : 0);
    }

    private static Properties settings(String servers) {
        Properties settings = new Properties();
        settings.putAll(Map.of(
                "bootstrap.servers", servers,
                "isolation.level", "read_committed",
                "key.deserializer", StringDeserializer.class.getName(),
                "value.deserializer", StringDeserializer.class.getName()));
        return settings;
    }

    private static ObjectNode told(JsonNode document, JsonNode payload, ConsumerRecord<String, String> record)
            throws Exception {
        JsonNode value = JSON.readTree(record.value());
        check(document, payload, value, "message");
        ObjectNode line = JSON.createObjectNode();
        line.put("partition", record.partition()).put("offset", record.offset()).put("key", record.key());
        payload.get("properties").fieldNames().forEachRemaining(name -> {
            if (value.has(name)) {
                line.set(name, value.get(name));
            }
        });
        return line;
    }

    /** As much of JSON Schema as the document uses: references, types, members, items, choices, enumerations. */
    private static void check(JsonNode document, JsonNode given, JsonNode value, String where) {
        JsonNode schema = resolve(document, given);
        if (schema.has("anyOf")) {
            for (JsonNode choice : schema.get("anyOf")) {
                try {
                    check(document, choice, value, where);
                    return;
                } catch (IllegalStateException other) {
                    continue;
                }
            }
            throw new IllegalStateException(where + " is none of what the document allows: " + value);
        }
        if (schema.has("type") && !isA(schema.get("type").asText(), value)) {
            throw new IllegalStateException(where + " is no " + schema.get("type").asText() + ": " + value);
        }
        if (schema.has("enum") && !contains(schema.get("enum"), value)) {
            throw new IllegalStateException(where + " is not among the values of the document: " + value);
        }
        if (value.isObject() && schema.has("properties")) {
            for (JsonNode name : schema.path("required")) {
                if (!value.has(name.asText())) {
                    throw new IllegalStateException(where + " lacks " + name.asText());
                }
            }
            schema.get("properties").fields().forEachRemaining(member -> {
                if (value.has(member.getKey())) {
                    check(document, member.getValue(), value.get(member.getKey()), where + "." + member.getKey());
                }
            });
            value.fieldNames().forEachRemaining(name -> {
                if (!schema.get("properties").has(name)) {
                    throw new IllegalStateException(where + " has a member the document does not name: " + name);
                }
            });
        }
        if (value.isArray() && schema.has("items")) {
            for (JsonNode item : value) {
                check(document, schema.get("items"), item, where + "[]");
            }
        }
    }

    private static boolean isA(String type, JsonNode value) {
        return switch (type) {
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            case "string" -> value.isTextual();
            case "integer" -> value.isIntegralNumber();
            case "number" -> value.isNumber();
            case "boolean" -> value.isBoolean();
            case "null" -> value.isNull();
            default -> throw new IllegalStateException("the document has a type unknown here: " + type);
        };
    }

    private static boolean contains(JsonNode values, JsonNode value) {
        for (JsonNode one : values) {
            if (one.equals(value)) {
                return true;
            }
        }
        return false;
    }

    private static JsonNode resolve(JsonNode document, JsonNode node) {
        return node.has("$ref") ? resolve(document, document.at(node.get("$ref").asText().substring(1))) : node;
    }
}
