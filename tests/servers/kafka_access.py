"""A real broker that asks who is there: over TLS for a name and a password, or for a certificate."""
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from tests.servers.kafka import KafkaServers, free_ports
from tests.servers.signing import Signer

USER, PASSWORD = "testamur", "a password for tests"
_TOPIC, _LITERAL, _ALLOW = 2, 3, 3
STRANGER = "stranger"
"""Has the same password and no rights."""


class GuardedKafka(KafkaServers):
    """One broker at 127.0.0.1. `asking` takes PLAIN and SCRAM-SHA-512 over TLS, `mutual` certificates that `authority` vouches for.

    `elsewhere` is as `asking`, but the broker says that it is reached at an address that its certificate does not have.
    """

    users = tuple(word for user in (USER, STRANGER) for word in ("--add-scram", f'SCRAM-SHA-512=[name="{user}",password="{PASSWORD}"]'))

    def __init__(self, folder: Path) -> None:
        """`folder` gets the files of certificates: `ca.pem` of the authority, `broker.pem`, and `client.pem` that it vouches for too."""
        super().__init__(1)
        self.folder = folder
        self.asking, self.mutual, self.elsewhere = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.authority = Signer("authority", authority=True)
        self.ca, self.client = folder / "ca.pem", folder / "client.pem"
        self.ca.write_bytes(self.authority.pem)
        self.client.write_bytes(Signer("client", self.authority).pem_with_key)
        (folder / "broker.pem").write_bytes(Signer("broker", self.authority, address="127.0.0.1").pem_with_key)

    async def allow(self, user: str, topic: str, *operations: int) -> None:
        """Give a user rights on a topic; they hold a moment later. Kafka's numbers: 3 Read, 4 Write, 8 Describe, 10 DescribeConfigs."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            await admin.start()
            for operation in operations:
                answer = await admin._send_request(CreateAclsRequest(_TOPIC, topic, _LITERAL, f"User:{user}", "*", operation, _ALLOW))
                assert not answer.creation_responses[0][0], answer
        finally:
            await admin.close()

    def config(self, i: int) -> dict[str, object]:
        """Return the properties of the broker: three more listeners, and rights."""
        plain, modules = super().config(i), "org.apache.kafka.common.security"
        more = f",ASKING://{self.asking},MUTUAL://{self.mutual},ELSEWHERE://{self.elsewhere}"
        said = more.replace(self.elsewhere, self.elsewhere.replace("127.0.0.1", "localhost"))
        asks = {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "plain.sasl.jaas.config": f'{modules}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
            "scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;"}
        return plain | {
            "listeners": f"{plain['listeners']}{more}", "advertised.listeners": f"{plain['advertised.listeners']}{said}",
            "listener.security.protocol.map": f"{plain['listener.security.protocol.map']},ASKING:SASL_SSL,MUTUAL:SSL,ELSEWHERE:SASL_SSL",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": self.folder / "broker.pem", "ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca,
            "listener.name.mutual.ssl.client.auth": "required",
            **{f"listener.name.{listener}.{name}": value for listener in ("asking", "elsewhere") for name, value in asks.items()},
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": f"User:ANONYMOUS;User:{USER};User:CN=client",
        }
