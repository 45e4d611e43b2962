from __future__ import annotations

import pytest

from tests.support.chart import MODEL_SERVICES, SERVING, chart

GIVEN = {f"tls.existingSecrets.{one}": f"given-{one}" for one in (*SERVING, "trainer")}


@pytest.mark.parametrize("component", SERVING)
def test_a_certificate_names_the_service_that_callers_dial(component: str) -> None:
    rendered = chart({"tls.enabled": True})
    spec = rendered.one("Certificate", component)["spec"]
    assert f"marquee-{component}.games.svc.cluster.local" in spec["dnsNames"]
    assert "server auth" in spec["usages"]
    assert ("client auth" in spec["usages"]) is (component == "orchestrator")
    (volume,) = [one for one in rendered.pod(component)["volumes"] if one["name"] == "tls"]
    assert volume["secret"]["secretName"] == spec["secretName"]


def test_without_an_issuer_the_release_has_an_authority_of_its_own() -> None:
    rendered = chart({"tls.enabled": True})
    authority = rendered.named("Certificate", "marquee-authority")["spec"]
    assert authority["isCA"] is True
    assert rendered.named("Issuer", authority["issuerRef"]["name"])["spec"] == {"selfSigned": {}}
    issuer = rendered.one("Certificate", "text")["spec"]["issuerRef"]
    assert rendered.named("Issuer", issuer["name"])["spec"] == {"ca": {"secretName": authority["secretName"]}}


def test_an_issuer_of_the_cluster_signs_when_it_is_named() -> None:
    values = {"tls.certManager.issuerRef.name": "corporate", "tls.certManager.issuerRef.kind": "ClusterIssuer"}
    rendered = chart({"tls.enabled": True, **values})
    assert not rendered.kind("Issuer")
    assert rendered.one("Certificate", "text")["spec"]["issuerRef"]["kind"] == "ClusterIssuer"


def test_both_sides_show_certificates() -> None:
    rendered = chart({"tls.enabled": True})
    for component in SERVING:
        environment = rendered.environment(component)
        prefix = f"MARQUEE_{component.upper()}_TLS"
        assert environment[f"{prefix}_CERTIFICATE_FILE"] == "/etc/marquee/tls/tls.crt"
        assert environment[f"{prefix}_CLIENT_CA_FILE"] == "/etc/marquee/tls/ca.crt"
    mesh = {name: value for name, value in rendered.environment("orchestrator").items() if "_MESH_TLS_" in name}
    assert len(mesh) == 3


def test_callers_may_do_without_but_the_orchestrator_may_not() -> None:
    rendered = chart({"tls.enabled": True, "tls.requireClientCertificate": False})
    assert "MARQUEE_ORCHESTRATOR_TLS_CLIENT_CA_FILE" not in rendered.environment("orchestrator")
    for component in MODEL_SERVICES:
        assert f"MARQUEE_{component.upper()}_TLS_CLIENT_CA_FILE" in rendered.environment(component)


def test_secrets_of_ones_own_need_no_cert_manager() -> None:
    rendered = chart({"tls.enabled": True, "tls.mode": "existingSecret", **GIVEN})
    assert not rendered.kind("Certificate")
    for template in rendered.templates():
        component = template["metadata"]["labels"]["app.kubernetes.io/component"]
        (volume,) = [one for one in template["spec"]["volumes"] if one["name"] == "tls"]
        owner = "trainer" if component == "test" else component
        assert volume["secret"]["secretName"] == f"given-{owner}"


def test_without_tls_nothing_of_it_is_there() -> None:
    rendered = chart()
    assert not any("TLS" in name for component in SERVING for name in rendered.environment(component))
    assert not any(
        volume["name"] == "tls" for template in rendered.templates() for volume in template["spec"]["volumes"]
    )
