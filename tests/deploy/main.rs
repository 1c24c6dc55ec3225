//! What else is deployed: images, workflows, configurations of data stores, backups; judged by the programs that read them.

#[test]
fn the_image_is_there() {
    assert!(
        std::fs::read_to_string(rulebox_tests::root().join("deploy/image/Dockerfile")).unwrap().contains("scratch")
    );
}
