// A client in another language: asks for a list with nothing but the published descriptor set and npm's gRPC packages.
// Usage: node recommend.js ADDRESS DESCRIPTOR_SET USER COUNT; prints the answer, or the error with its details, as one line of JSON.
"use strict";
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, descriptorSet, user, count] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(descriptorSet), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { marquee } = grpc.loadPackageDefinition(definition);
const client = new marquee.entertainment.v1.RecommendationService(address, grpc.credentials.createInsecure());

const request = { user_id: user, page_size: Number(count) };
client.Recommend(request, { deadline: Date.now() + 5000 }, (error, answer) => {
  if (error) {
    const details = error.metadata.get("grpc-status-details-bin");
    console.log(JSON.stringify({ code: error.code, message: error.details, detail_bytes: details.length ? details[0].length : 0 }));
  } else {
    console.log(JSON.stringify(answer));
  }
  client.close();
});
