//! HTTP requests and mock servers, over real sockets of loopback.

mod support;

use callwright_events::RunEvent;
use support::run;

#[test]
fn a_mock_server_answers_by_its_routes() {
    let ran = run(r#"
        let hooks = mock_server();
        hooks.respond("/fixed", json_response(#{ id: 7, list: [#{ name: "x" }] }));
        hooks.on("POST", "/echo", |req| text_response(req.method + " " + req.body + " " + req.query("q")));
        hooks.on(regex("/calls/.*/status"), |req| text_response("any " + req.path));
        hooks.respond("GET", regex("/calls/.*/status"), text_response("get"));
        hooks.respond("/calls/1/status", text_response("exact"));

        let fixed = http("GET", hooks.url + "/fixed");
        fixed.expect_status(200);
        assert(fixed.json("list.0.name")).equals("x");
        assert(fixed.json().id).equals(7);
        assert(fixed.header("Content-Type")).equals("application/json");
        print(http("post", hooks.url + "/echo?q=a%20b", #{ body: "hi" }).body);
        print(http("PUT", hooks.url + "/calls/2/status").body);
        print(http("GET", hooks.url + "/calls/2/status").body);
        print(http("GET", hooks.url + "/calls/1/status").body);
        assert(http("GET", hooks.url + "/calls/1/status/x").status).equals(404);
        assert(hooks.request_count(regex("/calls/.*"))).equals(4);
        assert(hooks.requests("/echo")[0].body).equals("hi");
        hooks.respond("/fixed", text_response("replaced"));
        print(http("GET", hooks.url + "/fixed").body);
    "#);
    assert_eq!(
        ran.passed().printed(),
        ["POST hi a b", "any /calls/2/status", "get", "exact", "replaced"]
    );
}

#[test]
fn json_bodies_have_a_content_type() {
    run(r#"
        let hooks = mock_server();
        hooks.respond("/x", text_response("ok"));
        http("POST", hooks.url + "/x", #{ body: #{ a: [1, ()] }, headers: #{ "X-Id": "7" } });
        let request = hooks.last_request("/x");
        assert(request.header("content-type")).contains("application/json");
        assert(request.header("x-id")).equals("7");
        assert(request.body).equals("{\"a\":[1,null]}");
    "#)
    .passed();
}

#[test]
fn redirects_are_followed() {
    run(r#"
        let hooks = mock_server();
        hooks.respond("/a", #{ status: 302, headers: #{ location: "/b" } });
        hooks.respond("/b", #{ status: 307, headers: #{ location: hooks.url + "/c" } });
        hooks.on("/c", |req| text_response(req.method));
        assert(http("POST", hooks.url + "/a", #{ body: "x" }).body).equals("GET");
        assert(http("POST", hooks.url + "/b", #{ body: "x" }).body).equals("POST");
    "#)
    .passed();
}

#[test]
fn a_responder_that_fails_answers_500_and_is_shown() {
    let ran = run(r#"
        let hooks = mock_server();
        hooks.on("/x", |req| json_response(#{ id: req.json("missing") }));
        assert(http("POST", hooks.url + "/x", #{ body: "{}" }).status).equals(500);
    "#);
    let shown = ran.passed().events.iter().any(|event| {
        matches!(event, RunEvent::MockError { error, location: Some(at), .. }
            if error.contains("test.rhai:3:") && error.contains("missing") && at.line == 3)
    });
    assert!(shown, "{:#?}", ran.events);
}

#[test]
fn a_responder_has_its_own_copy_of_captured_variables() {
    let ran = run(r#"
        let count = 0;
        let hooks = mock_server();
        hooks.on("/x", |req| { count += 1; text_response(`${count}`) });
        print(http("GET", hooks.url + "/x").body);
        print(http("GET", hooks.url + "/x").body);
        print(count);
    "#);
    assert_eq!(ran.passed().printed(), ["1", "2", "0"]);
}

#[test]
fn a_refused_connection_is_named() {
    let ran = run("http(\"GET\", \"http://127.0.0.1:9/x\");");
    assert!(
        ran.error()
            .starts_with("1:1: http GET http://127.0.0.1:9/x: cannot connect to http://127.0.0.1:9: "),
        "{}",
        ran.error()
    );
}

#[test]
fn a_missing_path_says_how_far_it_went() {
    let ran = run(r#"
        let hooks = mock_server();
        hooks.respond("/x", json_response(#{ data: #{ id: 1 } }));
        http("GET", hooks.url + "/x").json("data.ids.0");
    "#);
    assert_eq!(
        ran.error(),
        "4:39: json(\"data.ids.0\"): there is no \"ids\": \"data\" has the keys id"
    );
}

#[test]
fn a_mock_server_of_the_top_level_lives_as_long_as_the_file() {
    run(r#"
        let hooks = mock_server();
        hooks.respond("/x", text_response("ok"));
        scenario("a", || assert(http("GET", hooks.url + "/x").status).equals(200));
        scenario("b", || assert(http("GET", hooks.url + "/x").status).equals(200));
    "#)
    .passed();
}

#[test]
fn a_port_in_use_is_named() {
    let ran = run("let a = mock_server();\nmock_server(#{ port: a.port });");
    assert!(
        ran.error().starts_with("2:1: mock_server: port "),
        "{}",
        ran.error()
    );
    assert!(
        ran.error()
            .ends_with("is in use; leave `port` out to take any free one"),
        "{}",
        ran.error()
    );
}

#[test]
fn a_responder_that_gives_no_response_is_shown_with_its_line() {
    let ran = run(r#"
        let hooks = mock_server();
        hooks.on("/x", |req| "just text");
        assert(http("GET", hooks.url + "/x").status).equals(500);
    "#);
    let shown = ran.passed().events.iter().any(|event| {
        matches!(event, RunEvent::MockError { error, .. } if error.contains("test.rhai:3:") && error.contains("a response is a map"))
    });
    assert!(shown, "{:#?}", ran.events);
}

#[test]
fn headers_repeat_by_an_array() {
    run(r#"
        let hooks = mock_server();
        hooks.respond("/x", #{ headers: #{ "X-Id": ["a", "b"] } });
        let response = http("GET", hooks.url + "/x", #{ headers: #{ "X-Sent": [1, 2] } });
        assert(response).contains("x-id: a\nx-id: b");
        assert(hooks.last_request("/x")).contains("x-sent: 1\nx-sent: 2");
    "#)
    .passed();
}

#[test]
fn a_name_that_does_not_resolve_is_worth_another_try() {
    let ran = run("await_until(|| http(\"GET\", \"http://no-such-host.invalid/x\"), \"300ms\");");
    assert!(
        ran.error()
            .contains("cannot connect to http://no-such-host.invalid: ")
            && ran.error().contains("(waited "),
        "{}",
        ran.error()
    );
}
