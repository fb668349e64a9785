# Talks to a broker with paho, as its users do. Prints "good", or ends with the first difference.
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PORT = int(sys.argv[1])
PATIENCE = 20


class Client:
    def __init__(self, name, version, **connect):
        arguments = {} if version == mqtt.MQTTv5 else {"clean_session": connect.pop("clean_session", True)}
        if hasattr(mqtt, "CallbackAPIVersion"):
            arguments["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
        self.events = queue.Queue()
        self.client = mqtt.Client(client_id=name, protocol=version, **arguments)
        self.client.on_message = lambda client, data, message: self.events.put(("message", message))
        self.client.on_subscribe = lambda *arguments: self.events.put(("subscribed", arguments[2]))
        self.client.on_connect = lambda *arguments: self.events.put(("connected", arguments[2]))
        will = connect.pop("will", None)
        if will:
            self.client.will_set(*will)
        self.client.connect("127.0.0.1", PORT, **connect)
        self.client.loop_start()
        self.next("connected")

    def next(self, kind):
        got, value = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind)
        return value

    def subscribe(self, *arguments, **options):
        self.client.subscribe(*arguments, **options)
        self.next("subscribed")

    def publish(self, *arguments, **options):
        info = self.client.publish(*arguments, **options)
        info.wait_for_publish()

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


def same(got, expected):
    assert got == expected, (got, expected)


for version in (mqtt.MQTTv311, mqtt.MQTTv5):
    prefix = f"v{version}"
    ann = Client(f"{prefix}-ann", version)
    bob = Client(f"{prefix}-bob", version)
    ann.subscribe(f"{prefix}/#", 2)
    for qos in (0, 1, 2):
        bob.publish(f"{prefix}/{qos}", f"hello {qos}", qos)
        message = ann.next("message")
        same((message.topic, message.payload, message.qos, message.retain), (f"{prefix}/{qos}", b"hello %d" % qos, qos, False))
    large = bytes(range(256)) * 2000
    bob.publish(f"{prefix}/large", large, 2)
    same(ann.next("message").payload, large)
    bob.publish(f"{prefix}/kept", "kept", 1, retain=True)
    same(ann.next("message").retain, False)
    late = Client(f"{prefix}-late", version)
    late.subscribe(f"{prefix}/+", 1)
    message = late.next("message")
    same((message.payload, message.qos, message.retain), (b"kept", 1, True))
    # A client that is lost without a goodbye.
    lost = Client(f"{prefix}-lost", version, will=(f"{prefix}/will", "gone", 1, False))
    lost.client.loop_stop()
    lost.client._sock_close()
    same(ann.next("message").payload, b"gone")
    for client in (ann, bob, late):
        client.stop()

properties = Properties(PacketTypes.PUBLISH)
properties.UserProperty = [("b", "1"), ("a", "2"), ("b", "3")]
properties.ResponseTopic = "answers/here"
properties.CorrelationData = b"\0\1\2"
properties.ContentType = "text/plain"
properties.PayloadFormatIndicator = 1
properties.MessageExpiryInterval = 100
ann = Client("five", mqtt.MQTTv5)
ann.subscribe("five/own", options=SubscribeOptions(qos=1, noLocal=True))
ann.subscribe("five/+", options=SubscribeOptions(qos=1, retainAsPublished=True))
bob = Client("five-bob", mqtt.MQTTv5)
bob.publish("five/x", "hello", 1, retain=True, properties=properties)
message = ann.next("message")
got = message.properties
same(message.retain, True)
same(got.UserProperty, properties.UserProperty)
same((got.ResponseTopic, got.CorrelationData, got.ContentType), ("answers/here", b"\0\1\2", "text/plain"))
same((got.PayloadFormatIndicator, 99 <= got.MessageExpiryInterval <= 100), (1, True))
for client in (ann, bob):
    client.stop()
print("good")
